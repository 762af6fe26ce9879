"""Make images agree: channels, sample type and size of images, and of several sets that become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.errors import DataError, UsageError
from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.mapped import Meter, room
from isthmus.images.modes import composite
from isthmus.images.store import ImageSet, Pixels, Ragged, Skipped
from isthmus.wording import format_count


def joined(
    sets: Sequence[ImageSet],
    *,
    source: str,
    skipped: Sequence[Skipped] = (),
    like: ImageSet | None = None,
) -> ImageSet:
    """The images of at least one set, in order, all with the widest channels and sample type among them.

    Gray becomes colour and alpha is laid on white where channels differ; 8 bits become 16 and integers floats
    where samples differ; with `like` all become as the images of that set. Labels are kept where all
    sets have labels of the same classes.

    Raises:
        DataError: different numbers of channels, one of them above 4.
    """
    channels = {part.channels for part in sets}
    width = channels.pop() if len(channels) == 1 else (3 if max(channels) > 2 else 1)
    dtype = np.result_type(*{part.dtype for part in sets})
    if like is not None:
        width, dtype = like.channels, like.dtype
    shapes = np.array(
        [(*part.image(i).shape[:2], width) for part in sets for i in range(len(part))], dtype=np.int64
    )
    ends = np.cumsum([0, *shapes.prod(axis=1)], dtype=np.int64)
    flat = room((int(ends[-1]),), dtype)
    row = 0
    for part in sets:
        for index in range(len(part)):
            image = to_dtype(part.image(index), dtype)
            flat[ends[row] : ends[row + 1]] = (
                image if image.shape[2] == width else to_channels(image, width)
            ).reshape(-1)
            row += 1
    alike = (shapes == shapes[0]).all()
    labelled = all(part.labels is not None and part.classes == sets[0].classes for part in sets)
    notes = dict.fromkeys(note for part in sets for note in part.notes)
    grouped = any(part.groups for part in sets)
    return ImageSet(
        pixels=flat.reshape(len(shapes), *shapes[0]) if alike else Ragged(flat, ends[:-1], shapes),
        names=tuple(name for part in sets for name in part.names),
        labels=np.concatenate([part.labels for part in sets if part.labels is not None])
        if labelled
        else None,
        classes=sets[0].classes if labelled else (),
        groups=tuple(group for part in sets for group in part.groups or ("",) * len(part)) if grouped else (),
        source=source,
        skipped=(*skipped, *(left for part in sets for left in part.skipped)),
        notes=tuple(notes),
    )


def to_channels(image: Pixels, channels: int) -> Pixels:
    """(..., C) -> (..., 1 or 3): alpha is laid on white, gray is repeated, colour is weighed into gray.

    Gray is Y' = 0.299 R + 0.587 G + 0.114 B, ITU-R BT.601, section 2.5.1: exactly one of equal channels.

    Raises:
        DataError: more than four channels: their gray and colour are not defined.
        UsageError: `channels` is neither 1 nor 3.
    """
    if image.shape[-1] == channels:
        return image
    had = image.shape[-1]
    if channels not in (1, 3):
        raise UsageError(
            "channels={channels}: images with {given} can only become gray (1) or colour (3)",
            id="data.channels-converted",
            channels=channels,
            given=format_count(had, "channel"),
        )
    if had > 4:
        raise DataError(
            "images of {given} channels are neither gray nor colour",
            id="data.neither-gray-nor-colour",
            hint="choose channels of an array, such as images[..., [3, 2, 1]]",
            given=had,
        )
    if image.shape[-1] in (2, 4):
        image = composite(image)
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    if image.dtype == np.float32:
        red, green, blue = (image[..., channel : channel + 1] for channel in range(3))
        # Differences (of finite samples), because a rounded weighed sum is not exact where they are zero.
        return np.asarray(green + np.float32(0.299) * (red - green) + np.float32(0.114) * (blue - green))
    weighed: Pixels = image.astype(np.uint32) @ np.array([[299], [587], [114]], dtype=np.uint32)
    return np.asarray((weighed + 500) // 1000, dtype=image.dtype)


def is_gray(image: Any) -> bool:
    """Whether (..., 3), NumPy or torch, is gray that is stored as colour: its three channels are equal."""
    return image.shape[-1] == 3 and bool((image == image[..., :1]).all())


def to_dtype(image: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Scale samples: uint8 -> uint16 is ×257, uint16 -> uint8 its nearest; integers -> float32 in [0, 1].

    float32 -> integers clips to [0, 1] and takes the nearest level.
    """
    target = np.dtype(dtype)
    if image.dtype == target:
        return image
    if image.dtype == np.float32:
        levels: Pixels = np.rint(np.clip(image, 0, 1) * np.float32(np.iinfo(target).max)).astype(target)
        return levels
    if target == np.float32:
        return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if target == np.uint8:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image.astype(np.uint16) * np.uint16(257)


def fit(image: Pixels, size: tuple[int, int] | None) -> Pixels:
    """Resize (H, W, C) so that it covers `size` (h, w), keeping its proportions, and cut out the centre.

    Lanczos-3 with its support widened when shrinking, so nothing aliases. With None it is left.
    """
    height, width, channels = image.shape
    if size is None or (height, width) == size:
        return image
    scale = max(size[0] / height, size[1] / width)
    # The part of the source that becomes the result; cropping first saves time.
    seen_h, seen_w = min(size[0] / scale, height), min(size[1] / scale, width)
    top, left = (height - seen_h) / 2, (width - seen_w) / 2
    box = (left, top, left + seen_w, top + seen_h)
    target_size = (size[1], size[0])
    if image.dtype == np.uint8 and channels in (1, 3):
        picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if channels == 1 else image))
        resized = np.asarray(picture.resize(target_size, Image.Resampling.LANCZOS, box=box))
        return resized.reshape(*size, channels)
    planes = [
        np.asarray(Image.fromarray(plane).resize(target_size, Image.Resampling.LANCZOS, box=box))
        for plane in np.moveaxis(image, -1, 0).astype(np.float32)
    ]
    stacked = np.stack(planes, axis=-1)
    if image.dtype == np.float32:
        return np.asarray(np.clip(stacked, 0, 1))
    return np.asarray(np.clip(np.rint(stacked), 0, np.iinfo(image.dtype).max), dtype=image.dtype)


def conform(images: ImageSet, *, size: tuple[int, int] | None, channels: int | None) -> ImageSet:
    """The set with every image fitted to `size` (h, w) and given `channels`; None leaves them.

    Raises:
        UsageError: `size` or `channels` is impossible.
    """
    check_request(size=size, channels=channels)
    target_channels = images.channels if channels is None else channels
    resize = size is not None and (images.shape is None or images.shape[:2] != size)
    if not resize and target_channels == images.channels:
        return images
    if size is None and isinstance(images.pixels, Ragged):
        return replace(images, pixels=_ragged_channels(images.pixels, target_channels))
    if not resize:
        return replace(images, pixels=to_channels(np.asarray(images.pixels), target_channels))
    assert size is not None
    pixels = room((len(images), *size, target_channels), images.dtype)
    meter, written = Meter(images.pixels), Meter(pixels)
    for index in range(len(images)):
        image = images.image(index)
        pixels[index] = fit(to_channels(image, target_channels), size)
        meter.add(0, image.nbytes)
        written.add(0, pixels[index].nbytes)
    return replace(images, pixels=pixels)


def check_request(*, size: tuple[int, int] | None, channels: int | None) -> None:
    """Raises UsageError unless `size` is None or two positive numbers, and `channels` None or 1 to 64."""
    if channels is not None and not 1 <= channels <= MAX_CHANNELS:
        raise UsageError(
            "channels must be from 1 (gray) to {most}, not {channels}",
            id="data.channels-to-convert",
            most=MAX_CHANNELS,
            channels=channels,
        )
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise UsageError(
            "size must be a height and a width of at least 1 pixel, not {size}", id="data.size", size=size
        )


def _ragged_channels(pixels: Ragged, channels: int) -> Ragged:
    parts = [to_channels(pixels[index], channels).reshape(-1) for index in range(len(pixels))]
    shapes = pixels.shapes.copy()
    shapes[:, 2] = channels
    ends = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
    return Ragged(np.concatenate(parts), ends[:-1], shapes)
