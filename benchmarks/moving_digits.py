"""Moving digits: sequences made from single images that drift over a canvas and bounce off its borders.

The construction of moving MNIST (Srivastava et al. 2015, §4): each image gets a place and a velocity of its
own, moves straight, and is reflected at the borders; where images overlap the brighter pixel is seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels


def make_moving_sequences(
    images: ImageSet,
    count: int,
    *,
    frames: int = 20,
    side: int = 64,
    objects: int = 2,
    speed: tuple[float, float] = (2.0, 5.0),
    seed: int = 0,
) -> Pixels:
    """Sequences of drifting images.

    Args:
        images: gray or colour images of one size, smaller than the canvas, bright on black.
        count: sequences.
        frames: in each.
        side: of the canvas, in pixels.
        objects: images on the canvas at once.
        speed: lowest and highest, in pixels a frame, in any direction.
        seed: the same seed gives the same sequences.

    Returns:
        `(count, frames, side, side, C)` uint8.

    Raises:
        ValueError: mixed sizes, or images that do not fit on the canvas, or nothing is asked for.
    """
    if min(count, frames, objects) < 1:
        raise ValueError("moving images need at least one sequence, frame and object")
    if images.shape is None or max(images.shape[:2]) > side:
        raise ValueError(f"{images.source}: images of one size, at most {side} pixels a side, are needed")
    height, width, channels = images.shape
    random = np.random.default_rng(seed)
    result = np.zeros((count, frames, side, side, channels), np.uint8)
    for sequence in result:
        for _ in range(objects):
            image = to_dtype(images.image(int(random.integers(len(images)))), np.uint8)
            angle, pace = random.uniform(0, 2 * np.pi), random.uniform(*speed)
            rows = _bounce(random, side - height, pace * np.sin(angle), frames)
            columns = _bounce(random, side - width, pace * np.cos(angle), frames)
            for frame, top, left in zip(sequence, rows, columns, strict=True):
                part = frame[top : top + height, left : left + width]
                np.maximum(part, image, out=part)
    return result


def _bounce(random: np.random.Generator, room: int, velocity: float, frames: int) -> npt.NDArray[np.int64]:
    """Whole-pixel places of a point that moves between 0 and `room` and is reflected at both."""
    place = random.uniform(0, room) + velocity * np.arange(frames)
    if room == 0:
        return np.zeros(frames, np.int64)
    folded = room - np.abs(np.mod(place, 2 * room) - room)
    return np.asarray(np.rint(folded), dtype=np.int64)
