"""Blocks and ringing of JPEG removed: gain in PSNR over the JPEG file, in gray and colour, by quality.

    python benchmarks/jpeg.py bsds500/val --images 12
    python benchmarks/jpeg.py LIVE1 --gray --model dejpeg.safetensors

Gray follows the protocol of ARCNN (Dong et al. 2015) and DnCNN-3 (Zhang et al. 2017): luminance
round(16 + (65.481 R + 128.553 G + 24.966 B) / 255), coded by Pillow as gray; colour is coded with halved
chroma (4:2:0), PSNR is over the three channels. Restored images are rounded to 8 bits. Published, mean of
quality 10/20/30/40: DnCNN-3 29.40/31.63/32.91/33.77 on classic5, 29.19/31.59/32.98/33.96 on LIVE1.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import isthmus

Picture = npt.NDArray[np.uint8]
QUALITIES = 10, 20, 30, 40, 60, 80, 90
LUMINANCE = 65.481, 128.553, 24.966
SUFFIXES = ".png", ".jpg", ".bmp", ".tif"


def to_luminance(image: Picture) -> Picture:
    return np.round(16 + image.astype(float) @ LUMINANCE / 255).astype(np.uint8)


def code(image: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def psnr(image: Picture, clean: Picture) -> float:
    return float(10 * np.log10(255**2 / np.square(image.astype(float) - clean).mean()))


def measure(images: list[Picture], qualities: list[int], model: str | None) -> dict[int, dict[str, float]]:
    """Quality → PSNR of the JPEG file, of the restored image, and the least gain of an image."""
    results = {}
    for quality in qualities:
        rows = []
        for clean in images:
            coded = code(clean, quality)
            restored = (
                isthmus.denoise(coded, jpeg="on") if model is None else isthmus.denoise(coded, model=model)
            )
            rows.append((psnr(coded, clean), psnr(restored, clean)))
        before, after = np.array(rows).T
        results[quality] = {
            "jpeg": float(before.mean()),
            "restored": float(after.mean()),
            "least_gain": float((after - before).min()),
        }
    return results


def read(folder: Path, count: int | None) -> list[Picture]:
    """Images as they are, in luminance where they are gray files, else RGB; `count` evenly chosen."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if count is not None and count < len(paths):
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    return [
        np.asarray(im if (im := Image.open(p)).mode in ("L", "RGB") else im.convert("RGB")) for p in paths
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="a model file; by default the shipped photo-dejpeg")
    parser.add_argument("--images", type=int, help="only so many, evenly chosen")
    parser.add_argument("--quality", type=int, action="append", help="may be given several times")
    parser.add_argument("--gray", action="store_true", help="gray only")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    qualities = arguments.quality or list(QUALITIES)
    images = read(arguments.folder, arguments.images)
    record: dict[str, Any] = {"folder": arguments.folder.name, "images": len(images)}
    began = time.perf_counter()
    kinds = {"gray": [to_luminance(image) if image.ndim == 3 else image for image in images]}
    if not arguments.gray:
        kinds["colour"] = [image for image in images if image.ndim == 3]
    for name, pictures in kinds.items():
        record[name] = measure(pictures, qualities, arguments.model)
        for quality, row in record[name].items():
            gain = row["restored"] - row["jpeg"]
            print(
                f"{name:6} quality {quality:2}: {row['jpeg']:.2f} → {row['restored']:.2f} "
                f"({gain:+.2f}, least {row['least_gain']:+.2f})",
                flush=True,
            )
    print(f"{len(images)} images, {time.perf_counter() - began:.0f} s")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
