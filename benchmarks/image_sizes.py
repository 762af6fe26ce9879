"""Time and memory of reading and training as images grow, the number of pixels in all staying the same.

    python benchmarks/image_sizes.py                                        64² to 4096², minutes
    python benchmarks/image_sizes.py --sides 64,512 --megapixels 4 --steps 10      seconds

Every size is a folder of JPEG files that together have --megapixels: one photograph repeated and mirrored,
and cut into squares. Each measurement is a process of its own: the files are decoded into a memory map, and a
convolutional network is trained from that map on 64×64 pieces for equally many steps. Seconds are the
processor's, memory is the peak of the resident set, mapped pages included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from growth import peak
from PIL import Image

import isthmus
from isthmus.images.named import sample_photo

CROP = 64


def main() -> None:
    """Measure every size and print the table; `--json FILE` also writes the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", default="64,256,1024,4096")
    parser.add_argument("--megapixels", type=float, default=67.2, help="of all images together")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json")
    words = ("HOW", "DATA", "CACHE", "STEPS")
    parser.add_argument("--measure", nargs=4, metavar=words, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        how, data, cache, steps = arguments.measure
        print(json.dumps(measure(how, data, cache, int(steps))))
        return
    print(f"| side | images | decode, MP/s | peak | open again | {arguments.steps} steps | peak |")
    print("|---" * 7 + "|")
    rows = []
    for side in map(int, arguments.sides.split(",")):
        with tempfile.TemporaryDirectory() as place:
            rows.append(size(side, arguments.megapixels * 1e6, Path(place), arguments.steps))
        print(line(rows[-1]), flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")


def size(side: int, pixels: float, place: Path, steps: int) -> dict[str, Any]:
    """All measurements of one size."""
    count = max(1, round(pixels / side**2))
    cut(place / "images", side, count)
    row: dict[str, Any] = {"side": side, "images": count, "megapixels": count * side**2 / 1e6}
    for name, how in (("decode", "read"), ("open", "read"), ("train", "train")):
        words = ["--measure", how, str(place / "images"), str(place / "cache"), str(steps)]
        done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
        row[name] = json.loads(done.stdout)
    return row


def line(row: dict[str, Any]) -> str:
    decoded, reopened, trained = row["decode"], row["open"], row["train"]
    cells = [f"{row['side']}²", f"{row['images']:,}", f"{row['megapixels'] / decoded['seconds']:.1f}"]
    cells += [f"{decoded['megabytes']:.0f} MB", f"{reopened['seconds']:.1f} s"]
    cells += [f"{trained['seconds']:.1f} s", f"{trained['megabytes']:.0f} MB"]
    return f"| {' | '.join(cells)} |"


def cut(folder: Path, side: int, count: int) -> None:
    """`count` squares out of the plane that the photograph and its mirror images fill."""
    folder.mkdir()
    photo = sample_photo()
    four = np.concatenate([photo, photo[:, ::-1]], 1)
    four = np.concatenate([four, four[::-1]], 0)
    random = np.random.default_rng(0)
    for index in range(count):
        top, left = (int(random.integers(0, n)) for n in four.shape[:2])
        rows, columns = (np.arange(start, start + side) for start in (top, left))
        square = four[rows[:, None] % four.shape[0], columns[None] % four.shape[1]]
        Image.fromarray(square).save(folder / f"{index:06}.jpg", quality=90)


def measure(how: str, data: str, cache: str, steps: int) -> dict[str, float]:
    """In a process of its own: seconds of the processor, and megabytes of the resident set at its peak."""
    import torch

    torch.set_num_threads(1)
    began = time.process_time()
    if how == "read":
        isthmus.read(data, cache=cache)
        return {"seconds": time.process_time() - began, "megabytes": peak()}
    isthmus.train(data, recipe="conv", code="16@8", crop=CROP, steps=steps, validation=0, cache=cache)
    return {"seconds": time.process_time() - began, "megabytes": peak()}


if __name__ == "__main__":
    main()
