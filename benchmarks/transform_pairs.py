"""Two made pairs: colour from gray, and a blur undone, compared with copying and a linear map of patches.

    python benchmarks/transform_pairs.py colour cifar10                    an hour on one core
    python benchmarks/transform_pairs.py blur bsds500/train bsds500/test --test bsds500/val
    … --from none                                                          the same without a first model

Protocol. Colour: the input is the luminance (ITU-R BT.601) of a 32×32 image, rounded to 8 bits; the last
tenth of the images is the test; trained on crops of 24×24, then on whole images, mirrored at random, in
bfloat16. Blur: the input is the colour photograph after a Gaussian of σ 1.6 pixels, borders reflected,
rounded to 8 bits; trained on crops, from `photo-denoise-colour`, which has never seen BSDS500 `val`, in
float32. One thread, seed 0.
Copying shows the input (gray in all three channels), and the linear map is the best from patches of 9×9
pixels, fitted to the training pairs by least squares. PSNR and SSIM are means over the test images, outputs
clipped to [0, 1]. A learned transformation is worth its training from 1 dB above the linear map on.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import isthmus
from isthmus.images.conform import to_channels
from isthmus.images.store import ImageSet, Ragged

SIGMA_PX = 1.6
STEPS = {"colour": 22000, "blur": 600}
WHOLE_STEPS = 3000  # of colour, after those on crops
STARTS = {"colour": None, "blur": "photo-denoise-colour"}
SETTINGS = {
    "colour": [
        "backbone.width=32-64-128",
        "objective.image=psnr",
        "optimiser.rate=2e-3",
        "optimiser.ema=0.999",
        "optimiser.weight_decay=0.05",
    ],
    "whole": [
        "backbone.width=32-64-128",
        "objective.image=psnr",
        "optimiser.rate=6e-4",
        "optimiser.ema=0.998",
        "optimiser.weight_decay=0.05",
    ],
    "blur": [
        "objective.image=psnr",
        "optimiser.rate=5e-4",
        "optimiser.ema=0.99",
        "optimiser.batch=8",
    ],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "colour": {"precision": "bfloat16", "crop": 24, "augment_mirror": True},
    "whole": {"precision": "bfloat16", "augment_mirror": True, "patience": 0},
    "blur": {"precision": "float32", "crop": 64, "augment_orientations": True},
}
WANTED_GAIN_DB = 1.0


def colour_pairs(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Luminance and colour."""
    gray = to_channels(images.stack(np.arange(len(images))), 1)
    return ImageSet(gray, names=images.names, source="gray"), images


def blur_pairs(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Blurred and sharp."""
    blurred = [blur(images.image(row)) for row in range(len(images))]
    shapes = np.array([image.shape for image in blurred])
    ends = np.cumsum([0, *shapes.prod(axis=1)])
    pixels = Ragged(np.concatenate([image.reshape(-1) for image in blurred]), ends[:-1], shapes)
    return ImageSet(pixels, names=images.names, source="blurred"), images


def blur(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A Gaussian of `SIGMA_PX`, rounded to 8 bits."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(image.astype(np.float64), (SIGMA_PX, SIGMA_PX, 0), mode="reflect")
    levels: npt.NDArray[np.uint8] = np.rint(soft).astype(np.uint8)
    return levels


def measure(
    task: str, train: ImageSet, test: ImageSet, steps: int, start: str | None, out: Path | None
) -> dict[str, object]:
    """Train on the pairs of one set, and measure on those of another."""
    make = colour_pairs if task == "colour" else blur_pairs
    began = time.process_time()
    inputs, targets = make(train)
    stages = [(task, steps), *([("whole", WHOLE_STEPS)] if task == "colour" else [])]
    model: isthmus.Autoencoder | str | None = start
    for stage, stage_steps in stages:
        model = isthmus.train(
            inputs,
            target=targets,
            settings=SETTINGS[stage],
            steps=stage_steps,
            start_from=model,
            validation=0.02,
            seed=0,
            out=out,
            force=True,
            **OPTIONS[stage],
        )
    trained = time.process_time() - began
    inputs, targets = make(test)
    assert isinstance(model, isthmus.Autoencoder)
    evaluation = isthmus.evaluate(model, inputs, target=targets)
    rows = {"model": evaluation.metrics, **evaluation.baselines}
    gain = rows["model"]["psnr"] - rows["linear_map"]["psnr"]
    return {
        "task": task,
        "train": len(train),
        "test": len(test),
        "steps": dict(stages),
        "start": start,
        "settings": SETTINGS[task],
        "cpu_seconds": round(trained),
        **{name: {key: round(values[key], 4) for key in ("psnr", "ssim")} for name, values in rows.items()},
        "gain_db": round(gain, 2),
        "reached": gain >= WANTED_GAIN_DB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["colour", "blur"])
    parser.add_argument("data", nargs="+", help="images to train on")
    parser.add_argument("--test", help="images to measure on; by default the last tenth of the data")
    parser.add_argument("--limit", type=int, help="measure on so many, evenly spaced")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--from", dest="start", help="a model to start from, or none")
    parser.add_argument("--model", type=Path, help="keep the model here")
    parser.add_argument("-o", dest="out", type=Path, help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    data = isthmus.read(arguments.data if len(arguments.data) > 1 else arguments.data[0])
    if arguments.test is None:
        cut = len(data) * 9 // 10
        train, test = data[:cut], data[cut:]
    else:
        train, test = data, isthmus.read(arguments.test)
    if arguments.limit is not None and arguments.limit < len(test):
        test = test[np.linspace(0, len(test) - 1, arguments.limit).round().astype(int)]
    steps = STEPS[arguments.task] if arguments.steps is None else arguments.steps
    start = STARTS[arguments.task] if arguments.start is None else arguments.start
    start = None if start == "none" else start
    results = measure(arguments.task, train, test, steps, start, arguments.model)
    print(json.dumps(results, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
