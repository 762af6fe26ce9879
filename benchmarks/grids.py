"""Colour and larger images through a spatial code, without any change of code: train, draw, interpolate.

    python benchmarks/grids.py cifar10 --code 16@4                          about six minutes on one core
    python benchmarks/grids.py photos/ --crop 64 --code 16@8
    python benchmarks/grids.py photos/ --crop 128 --code 16@8
    python benchmarks/grids.py photos/ --crop 64 --code 16@8 --quick         that it runs

Prints the time of both trainings, of drawing, and the process's peak memory; writes a sheet of samples, one
of reconstructions and a strip between two images.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from pathlib import Path

import numpy as np
import torch

import isthmus
from isthmus.generation.flow_training import STEPS
from isthmus.images.conform import conform
from isthmus.images.outputs import write_images
from isthmus.images.store import ImageSet


def crops(images: ImageSet, side: int, count: int) -> ImageSet:
    """Random square parts of larger images."""
    random = np.random.default_rng(0)
    pixels = []
    for _ in range(count):
        image = images.image(int(random.integers(len(images))))
        top, left = (int(random.integers(0, extent - side + 1)) for extent in image.shape[:2])
        pixels.append(image[top : top + side, left : left + side])
    return ImageSet(np.stack(pixels), tuple(f"{i:05d}.png" for i in range(count)), source=images.source)


def psnr(target: np.ndarray, output: np.ndarray) -> float:
    return -10 * math.log10(np.square((target.astype(float) - output) / 255).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--crop", type=int)
    parser.add_argument("--crops", type=int, default=6000)
    parser.add_argument("--code", default="16@4")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--flow-steps", type=int, default=min(STEPS, 1500))
    parser.add_argument("--out", type=Path, default=Path("grids"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = isthmus.read(arguments.data)
    if arguments.crop:
        count = 60 if arguments.quick else arguments.crops
        images = crops(conform(images, size=None, channels=3), arguments.crop, count)
    length = {"steps": 3} if arguments.quick else {"minutes": arguments.minutes}
    settings = ["bottleneck=gaussian", "bottleneck.weight=0.01"]
    model = isthmus.train(images, recipe="conv", code=arguments.code, settings=settings, **length)
    steps = 3 if arguments.quick else arguments.flow_steps
    isthmus.fit_prior(model, images, steps=steps, precision="bfloat16")
    flow = model.attachments["prior/flow"].facts
    started = time.monotonic()
    size = (arguments.crop, arguments.crop) if arguments.crop else None
    made = isthmus.generate(model, 4 if arguments.quick else 36, steps=16, size=size).pixels
    seconds = time.monotonic() - started
    name = f"{Path(arguments.data).name}-{arguments.crop or model.size[0]}"
    write_images(arguments.out / f"{name}-new.png", made, force=True)
    some = images.stack(range(0, len(images), max(1, len(images) // 12)))[:12]
    output = np.asarray(model.reconstruct(some))
    write_images(arguments.out / f"{name}-seen.png", np.concatenate([some, output]), columns=12, force=True)
    strip = isthmus.interpolate(model, [some[0], some[1]], frames=9).pixels
    write_images(arguments.out / f"{name}-path.png", strip, columns=9, force=True)
    model.save(arguments.out / f"{name}.safetensors")
    results = {
        "data": name,
        "images": len(images),
        "size": list(made.shape[1:]),
        "code": arguments.code,
        "training_seconds": model.summary["seconds"],
        "training_steps": model.summary["steps"],
        "flow_steps": flow["steps"],
        "flow_seconds": flow["seconds"],
        "seconds_per_image_drawn": round(seconds / len(made), 3),
        "psnr_of_reconstructions": round(psnr(some, output), 2),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(results, indent=1))
    (arguments.out / f"{name}.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
