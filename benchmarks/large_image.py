"""Peak memory and time of one very large image, to a file and back, by the two commands as a user runs them.

    python benchmarks/large_image.py --megapixels 100
    python benchmarks/large_image.py --megapixels 4 --photo mine.jpg      a small one

The image is a photograph repeated and mirrored to a square, saved as JPEG. Each command runs in a process of
its own; its peak resident memory is what the system says of it. Ends with exit code 1 where one needs more
than --limit megabytes.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(path: str | None) -> np.ndarray:
    """(H, W, 3) uint8."""
    if path is not None:
        return np.asarray(Image.open(path).convert("RGB"))
    from skimage import data

    return np.asarray(data.chelsea())


def enlarged(photo: np.ndarray, side: int) -> Image.Image:
    """A square of `side` pixels, filled with the photograph and its mirror images."""
    pair = np.concatenate([photo, photo[:, ::-1]], 1)
    four = np.concatenate([pair, pair[::-1]], 0)
    tile = Image.fromarray(four)
    square = Image.new("RGB", (side, side))
    for top in range(0, side, tile.height):
        for left in range(0, side, tile.width):
            square.paste(tile, (left, top))
    return square


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds, and peak resident memory in MB, of a command.

    Raises:
        SystemExit: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--photo", help="instead of the cat of scikit-image")
    parser.add_argument("--limit", type=float, default=2000, help="MB")
    parser.add_argument("--model", help="a codec model; default: the shipped one")
    parser.add_argument("--scratch", help="folder for the files in between; default: a temporary one")
    args = parser.parse_args()
    side = round(math.sqrt(args.megapixels * 1e6))
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        big, small, back = (str(Path(folder) / name) for name in ("big.jpg", "big.isth", "back.png"))
        enlarged(photograph(args.photo), side).save(big, quality=92)
        own = [] if args.model is None else ["--model", args.model]
        isthmus = [sys.executable, "-m", "isthmus"]
        worst = 0.0
        for name, command in (
            ("compress", [*isthmus, "compress", big, "-o", small, *own]),
            ("compress --verify", [*isthmus, "compress", big, "-o", small, *own, "--verify", "--force"]),
            ("decompress", [*isthmus, "decompress", small, "-o", back, *own]),
        ):
            seconds, megabytes = measured(command)
            print(
                f"{name}: {side}×{side} in {seconds:.0f} s, {side**2 / seconds / 1e6:.2f} MP/s, "
                f"peak {megabytes:,.0f} MB",
                flush=True,
            )
            worst = max(worst, megabytes)
    return int(worst > args.limit)


if __name__ == "__main__":
    sys.exit(main())
