"""The README's picture: unseen images, what PCA makes of them, and what a model with as many numbers makes.

isthmus demo -o demo
python tools/picture.py demo/fashion-sample.safetensors docs/pictures/fashion-32.png
"""

from __future__ import annotations

import sys

import numpy as np

import isthmus
from isthmus.atomic import write_bytes
from isthmus.images.array_format import to_batch
from isthmus.images.batches import iter_batches
from isthmus.metrics.baselines import PCA
from isthmus.reports.image_sheets import draw_image_rows

COLUMNS = 12


def main(model_path: str, out: str) -> None:
    model = isthmus.load(model_path)
    numbers, seconds = model.recipe.geometry.numbers(model.size), model.summary["seconds"]
    test = isthmus.read("fashion-sample:test")
    chosen = np.asarray(test.pixels)[:: len(test) // COLUMNS][:COLUMNS]
    batch, kind = to_batch(chosen)
    training = (part.images for part in iter_batches(isthmus.read("fashion-sample"), batch=500))
    principal = kind.restore(PCA(numbers).fit(training).reconstruct(batch))
    rows = [
        ("unseen images, 784 numbers each", chosen),
        (f"principal components, {numbers} numbers", principal),
        (f"isthmus demo, {numbers} numbers, {seconds:.0f} seconds of training", model.reconstruct(chosen)),
    ]
    write_bytes(out, draw_image_rows(rows, columns=COLUMNS))


if __name__ == "__main__":
    main(*sys.argv[1:])
