"""The images: named sets with their own test split, or a part held out by content where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import isthmus
from isthmus.images.store import ImageSet
from isthmus.images.subsets import hold_out


def mnist() -> tuple[ImageSet, ImageSet]:
    """60,000 images to train on (a part is held out to validate on) and the 10,000 of the test split."""
    return isthmus.read("mnist"), isthmus.read("mnist:test")


def cifar10() -> tuple[ImageSet, ImageSet]:
    """CIFAR-10's training images without 5,000 that are held out by content, and those."""
    images = isthmus.read("cifar10")
    train, test = hold_out(images, 0.2, seed=1)  # at most 5,000; another seed than the validation split's
    return images.subset(train), images.subset(test)


def on_canvas(images: ImageSet, *, side: int, scattered: bool, seed: int) -> ImageSet:
    """Each digit, cut out at the box around its ink, on a black canvas: anywhere, or in the middle.

    Args:
        images: gray digits on black, `(N, H, W, 1)` uint8.
        side: of the square canvas, at least that of the largest box.
        scattered: every place where the whole digit fits is equally likely; otherwise it is centred.
        seed: of the places.
    """
    random = np.random.default_rng(seed)
    canvas = np.zeros((len(images), side, side, 1), np.uint8)
    for index in range(len(images)):
        image = images.image(index)
        ink = image[..., 0] > 0
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        free = side - np.array(box.shape[:2])
        top, left = random.integers(0, free + 1) if scattered else free // 2
        canvas[index, top : top + box.shape[0], left : left + box.shape[1]] = box
    how = "scattered" if scattered else "centred"
    return replace(images, pixels=canvas, source=f"{how} {images.source}")
