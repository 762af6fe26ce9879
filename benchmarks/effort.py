"""What `--effort` is worth: files of the same photographs at every quality, against those without effort.

    python benchmarks/effort.py PHOTOS --efforts 3,6,10,20 --json effort.json
    python benchmarks/effort.py PHOTOS --efforts 5 --images 2 --crop 128       a small one

Prints for each effort the BD-rate (PCHIP over the PSNR that both reach, whole files) and encoding speed, on
one thread. Tune on photographs that are not reported on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from PIL import Image

QUALITIES = (5, 30, 55, 80, 100)


def centre(path: Path, side: int | None) -> np.ndarray:
    image = np.asarray(Image.open(path).convert("RGB"))
    if side is None:
        return image
    top, left = ((extent - side) // 2 for extent in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def curve(
    images: list[np.ndarray], effort: int, model: str | None
) -> tuple[list[tuple[float, float]], float]:
    """(bits per pixel, dB) of all images together at each quality, and megapixels encoded a second."""
    import isthmus

    given = None if model is None else isthmus.load(model)
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    points, seconds = [], 0.0
    for quality in QUALITIES:
        size = error = 0.0
        for image in images:
            began = time.process_time()
            data = isthmus.compress(image, quality=quality, effort=effort, model=given)
            seconds += time.process_time() - began
            again = isthmus.decompress(data, model=given)
            size += len(data)
            error += float(np.square(image.astype(np.float64) - again).sum())
        points.append((8 * size / pixels, 10 * math.log10(3 * pixels * 255**2 / error)))
    return points, pixels * len(QUALITIES) / seconds / 1e6


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--efforts", default="3,6,10,20")
    parser.add_argument("--images", type=int, default=8, help="so many, evenly over the folder")
    parser.add_argument("--crop", type=int, help="side of a piece of each image's middle")
    parser.add_argument("--model", help="a codec model; default: the shipped one")
    parser.add_argument("--json", help="write all points to this file")
    args = parser.parse_args()
    import torch
    from bd_rate import bd_rate

    from isthmus.images.listing import list_images

    torch.set_num_threads(1)
    paths = [file.path for file in list_images(args.folder).files]
    step = max(1, len(paths) // args.images)
    images = [centre(path, args.crop) for path in paths[::step][: args.images]]
    results = {}
    for effort in (0, *map(int, args.efforts.split(","))):
        results[effort] = points, speed = curve(images, effort, args.model)
        gained = "" if effort == 0 else f"{bd_rate(points, results[0][0]):+.2f} %, "
        shown = ", ".join(f"{bpp:.3f} bpp {psnr:.2f} dB" for bpp, psnr in points)
        print(f"effort {effort}: {gained}{speed:.2f} MP/s of processor time; {shown}", flush=True)
        if args.json:
            Path(args.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
