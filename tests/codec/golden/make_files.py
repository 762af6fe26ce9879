"""How the compressed files of this folder were made, with what a decoder must find in them.

    python tests/codec/golden/make_files.py

`NAME.isth` are files of format 1; `expected.npz` holds by name the symbols of every tile and the picture.
Made once and
kept: every later version must decode them to the same symbols, and to pixels within one level.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from isthmus.codec import container
from isthmus.codec.decoding import decode_picture, decode_tile_symbols, raise_if_damaged
from isthmus.codec.encoding import encode_picture_at
from isthmus.codec.grid import Grid
from isthmus.codec.picture import Picture, read_picture
from isthmus.codec.ready import make_codec
from isthmus.model.loading import load

HERE = Path(__file__).parent


def pictures() -> dict[str, tuple[Picture, int, int | None]]:
    """By name: a picture, a quality in hundredths, and the side of its tiles."""
    cat = np.ascontiguousarray(data.chelsea()[60:150, 120:230])
    height, width = cat.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - height / 2, columns - width / 2)
    alpha = np.clip(300 - 6 * disc, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    return {
        "colour": (read_picture(cat), 5000, None),
        "gray": (read_picture(cat[:, :, 1]), 2000, None),
        "tiles": (read_picture(cat), 8000, 32),
        "alpha": (read_picture(np.dstack([cat, alpha])), 6500, 64),
        "gray-alpha": (read_picture(np.dstack([cat[:, :, 0], alpha])), 5000, None),
        "one-pixel": (read_picture(cat[:1, :1]), 10000, None),
        "one-row": (read_picture(cat[:1]), 100, None),
        "tagged": (
            Picture(cat[:20, :20], None, b"a profile, as far as this format cares", exif.tobytes()),
            5000,
            None,
        ),
    }


def main() -> None:
    codec = make_codec(load(HERE / "model.safetensors"))
    expected: dict[str, Any] = {}
    for name, (image, quality, tile) in pictures().items():
        preview = 32 if name == "tagged" else None
        data = encode_picture_at(image, codec, quality, tile=tile, preview=preview).data
        (HERE / f"{name}.isth").write_bytes(data)
        contents = container.read_container(data)
        grid = Grid.of(contents.header, codec.stride)
        for number, symbols in enumerate(decode_tile_symbols(contents, codec, grid, range(grid.count))):
            expected[f"{name}/symbols/{number}"] = raise_if_damaged(symbols).astype(np.int16)
        expected[f"{name}/picture"] = decode_picture(contents, codec).picture.array()
    np.savez_compressed(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
