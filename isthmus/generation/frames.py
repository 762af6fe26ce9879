"""Sequences of frames through the code: frames filled, inserted and predicted.

Codes of known frames are joined by straight lines, or, where the model has learned how its codes move
(`fit_dynamics`), as those lines bend. A prediction without it repeats the last frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.generation.codes import check_generates, decode_codes, encode_converted
from isthmus.generation.dynamics import Dynamics, extrapolate, gather_known_frames, read_dynamics
from isthmus.generation.sampling import to_pixels
from isthmus.images.animation import frame_size
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import read_for
from isthmus.threads import limited


def split_sequences(images: ImageSet) -> list[ImageSet]:
    """The sequences in a set: one per sub-folder, in the order of names; without labels all is one."""
    if images.labels is None:
        return [images]
    return [images.subset(np.flatnonzero(images.labels == k)) for k in np.unique(images.labels)]


@limited()
def fill_frames(model: Autoencoder, frames: ImageSet, missing: Sequence[int]) -> Pixels:
    """A sequence with some frames made anew from the others.

    Args:
        frames: in order, of one size, which they keep; what the missing ones show is not looked at.
        missing: their numbers, from 0; the first and the last frame can be among them.

    Returns:
        `(T, H, W, C)` uint8: known frames as they are, missing ones from the code.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: a number outside the sequence, or fewer than two known frames.
    """
    numbers = sorted({int(number) for number in missing})
    if numbers and not 0 <= numbers[0] <= numbers[-1] < len(frames):
        raise UsageError("frames are numbered from 0 to {last}", id="frames.number", last=len(frames) - 1)
    given_numbers = [index for index in range(len(frames)) if index not in numbers]
    if len(given_numbers) < 2:
        raise UsageError("at least two frames must be known", id="frames.too-few-known")
    given = read_for(model, frames)
    result = to_dtype(given.stack(range(len(given))), np.uint8).copy()
    if numbers:
        result[numbers] = _make_frames(model, given.subset(given_numbers), given_numbers, numbers)
    return result


@limited()
def insert_frames(model: Autoencoder, frames: ImageSet, count: int) -> Pixels:
    """The sequence slowed down: `count` new frames between any two.

    Returns:
        `(T + (T − 1) · count, H, W, C)` uint8.

    Raises:
        CapabilityError, UsageError: as `fill_frames`.
    """
    if count < 1 or len(frames) < 2:
        raise UsageError("at least one frame between at least two is needed", id="frames.too-few-to-fill")
    given = read_for(model, frames)
    times = np.arange((len(frames) - 1) * (count + 1) + 1) / (count + 1)
    new = [float(time) for time in times if time != round(time)]
    made = _make_frames(model, given, list(range(len(frames))), new)
    own = to_dtype(given.stack(range(len(given))), np.uint8)
    result = np.empty((len(times), *own.shape[1:]), np.uint8)
    result[:: count + 1] = own
    result[times != np.round(times)] = made
    return result


@limited()
def predict_frames(model: Autoencoder, frames: ImageSet, count: int) -> Pixels:
    """The next frames, each predicted from those before it.

    Returns:
        `(count, H, W, C)` uint8.

    Raises:
        CapabilityError, UsageError: as `fill_frames`.
    """
    if count < 1 or len(frames) < 2:
        raise UsageError("at least one frame after at least two is needed", id="frames.too-few-to-predict")
    motion = read_dynamics(model)
    given = read_for(model, frames)
    codes = list(encode_sequence(model, given))
    for _ in range(count):
        times = list(range(len(codes)))
        context, when = gather_known_frames(torch.stack(codes), times, [len(codes)])
        codes.append(_predict_codes(motion, context, when)[0])
    return to_pixels(decode_codes(model, torch.stack(codes[-count:]), frame_size(given)))


def encode_sequence(model: Autoencoder, frames: ImageSet) -> Tensor:
    """`(T, …)` codes of frames, each seen whole, at the size that it has.

    Raises:
        CapabilityError: the model cannot generate.
        DataError: colour frames for a gray model, or mixed sizes.
    """
    check_generates(model)
    given = read_for(model, frames)
    frame_size(given)
    return encode_converted(model, given)


def _make_frames(
    model: Autoencoder, frames: ImageSet, times: Sequence[float], targets: Sequence[float]
) -> Pixels:
    context, when = gather_known_frames(encode_sequence(model, frames), times, targets)
    codes = _predict_codes(read_dynamics(model), context, when)
    return to_pixels(decode_codes(model, codes, frame_size(frames)))


def _predict_codes(motion: Dynamics | None, context: Tensor, times: Tensor) -> Tensor:
    if motion is not None:
        return motion(context, times)
    flat = extrapolate(context.flatten(2), times)
    return flat.reshape(-1, *context.shape[2:])
