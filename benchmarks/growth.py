"""Time and memory of reading and training as the number of images grows, from tar shards and from memory.

    python benchmarks/growth.py --counts 1000,10000,100000          # minutes
    python benchmarks/growth.py --counts 300 --steps 20             # seconds

Colour images of 32×32 are synthesised into shards of 10,000 PNG files. Every measurement is a process of its
own: the shards are decoded into a memory map, opened again, and trained on for equally many steps; beside it
the same pixels as one array in memory. Memory is the peak of the resident set, mapped pages included.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PER_SHARD = 10_000
SIDE = 32


def main() -> None:
    """Measure every size and print the table; `--json FILE` also writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json")
    parser.add_argument(
        "--measure", nargs=4, metavar=("HOW", "DATA", "CACHE", "STEPS"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.measure:
        how, data, cache, steps = arguments.measure
        print(json.dumps(measure(how, data, cache, int(steps))))
        return
    rows = []
    for count in map(int, arguments.counts.split(",")):
        with tempfile.TemporaryDirectory() as place:
            rows.append(size(count, Path(place), arguments.steps))
            print(line(rows[-1]), flush=True)
    text = verdict(rows)
    print(text)
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps({"rows": rows, "verdict": text, "cpu": os.cpu_count()}, indent=1)
        )


def size(count: int, place: Path, steps: int) -> dict[str, Any]:
    """All measurements of one number of images."""
    shards, cache = place / "shards", place / "cache"
    shards.mkdir()
    synthesise(shards, place / "array.npy", count)
    row: dict[str, Any] = {"images": count, "pixel_megabytes": count * SIDE * SIDE * 3 / 1e6}
    for name, how, data in (
        ("decode", "read", shards),
        ("open", "read", shards),
        ("train", "train", shards),
        ("memory", "train", place / "array.npy"),
    ):
        words = [sys.executable, __file__, "--measure", how, str(data), str(cache), str(steps)]
        row[name] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return row


def synthesise(shards: Path, array: Path, count: int) -> None:
    """Soft random colours with a little noise, as shards and as one array."""
    random = np.random.default_rng(0)
    pixels = np.lib.format.open_memmap(array, "w+", np.uint8, (count, SIDE, SIDE, 3))
    for start in range(0, count, PER_SHARD):
        with tarfile.open(shards / f"{start // PER_SHARD:05}.tar", "w") as archive:
            for index in range(start, min(count, start + PER_SHARD)):
                coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
                pixels[index] = np.asarray(image)
                stream = io.BytesIO()
                image.save(stream, "PNG", compress_level=1)
                entry = tarfile.TarInfo(f"{index:07}.png")
                entry.size = stream.tell()
                archive.addfile(entry, io.BytesIO(stream.getvalue()))
    pixels.flush()


def measure(how: str, data: str, cache: str, steps: int) -> dict[str, float]:
    """In a process of its own: seconds, and megabytes of the resident set at its peak."""
    import torch

    import isthmus

    torch.set_num_threads(1)
    began = time.monotonic()
    if how == "read":
        images = isthmus.read(data, cache=cache)
        images.fingerprint()
        return {"seconds": time.monotonic() - began, "megabytes": peak()}
    model = isthmus.train(
        data, recipe="dense", code="16", steps=steps, precision="float32", validation=0.01, cache=cache
    )
    return {
        "seconds": time.monotonic() - began,
        "megabytes": peak(),
        "images_per_second": model.summary["images_per_second"],
        "validation": model.summary["best"]["validation"],
    }


def peak() -> float:
    """The largest resident set so far, in megabytes."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def line(row: dict[str, Any]) -> str:
    parts = [f"{row['images']:>9,} images, {row['pixel_megabytes']:8.1f} MB of pixels:"]
    names = ("decode", "open", "train", "memory")
    parts += [f"{name} {row[name]['seconds']:.1f} s, {row[name]['megabytes']:.0f} MB;" for name in names]
    losses = row["train"]["validation"], row["memory"]["validation"]
    return " ".join(parts) + f" validation {losses[0]:.6g} and {losses[1]:.6g}"


def verdict(rows: list[dict[str, Any]]) -> str:
    """Whether memory stays flat and losses equal, in one line."""
    first, last = rows[0], rows[-1]
    more = last["train"]["megabytes"] - first["train"]["megabytes"]
    data = last["pixel_megabytes"] - first["pixel_megabytes"]
    equal = all(row["train"]["validation"] == row["memory"]["validation"] for row in rows)
    return (
        f"{data:.0f} MB more pixels took {more:.0f} MB more memory from the map; "
        f"validation losses {'are equal' if equal else 'DIFFER'} to training from memory"
    )


if __name__ == "__main__":
    main()
