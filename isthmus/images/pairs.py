"""Inputs and their targets as one set: each image holds the target's channels behind the input's.

So crops, mirroring, turns, resizing and the choice of a held-out part apply to both. Pairs have equal names
without suffixes and without the common start of all names of a set. Where no name is in both sets, images of
equal base names are paired in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from isthmus.errors import DataError
from isthmus.images.conform import to_dtype
from isthmus.images.mapped import Meter, room
from isthmus.images.store import ImageSet, Indices, Ragged
from isthmus.wording import format_count

MAX_NAMED = 10  # names in one line


def pair_sets(inputs: ImageSet, targets: ImageSet) -> ImageSet:
    """The pairs of two sets: `(H, W, C + T)` with the target's T channels last, in the order of the inputs.

    Labels are the inputs'. Samples become the wider type of the two. Images without a partner are left out
    and named in one of the `notes`.

    Raises:
        DataError: no name is in both sets, or the two images of a pair have different sizes.
    """
    rows, partners, notes = _match(inputs, targets)
    shapes = np.array([inputs.image(int(row)).shape[:2] for row in rows], dtype=np.int64)
    for row, partner, size in zip(rows, partners, shapes, strict=True):
        other = targets.image(int(partner)).shape[:2]
        if tuple(size) != other:
            raise DataError(
                "{name} is {height}×{width} and its target {target} {target_height}×{target_width}: "
                "the images of a pair must be of one size",
                id="data.pair-sizes",
                name=inputs.names[row],
                height=size[0],
                width=size[1],
                target=targets.names[partner],
                target_height=other[0],
                target_width=other[1],
            )
    channels = inputs.channels + targets.channels
    dtype = np.result_type(inputs.dtype, targets.dtype)
    samples = shapes.prod(axis=1) * channels
    ends = np.cumsum([0, *samples], dtype=np.int64)
    flat = room((int(ends[-1]),), dtype)
    meters = Meter(inputs.pixels), Meter(targets.pixels), Meter(flat)
    for index, (row, partner) in enumerate(zip(rows, partners, strict=True)):
        image, target = inputs.image(int(row)), targets.image(int(partner))
        stacked = np.concatenate([to_dtype(image, dtype), to_dtype(target, dtype)], axis=2)
        flat[ends[index] : ends[index + 1]] = stacked.reshape(-1)
        for meter, part in zip(meters, (image, target, stacked), strict=True):
            meter.add(0, part.nbytes)
    full = np.column_stack([shapes, np.full(len(shapes), channels)])
    alike = bool((full == full[0]).all())
    return replace(
        inputs.subset(rows),
        pixels=flat.reshape(len(full), *full[0]) if alike else Ragged(flat, ends[:-1], full),
        skipped=(*inputs.skipped, *targets.skipped),
        notes=(*dict.fromkeys((*inputs.notes, *targets.notes)), *notes),
        target_channels=targets.channels,
        target_source=targets.source,
    )


def split_pair(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The inputs and the targets of a set of pairs.

    Raises:
        ValueError: the set holds no pairs.
    """
    count = images.target_channels
    if count == 0:
        raise ValueError("these are no pairs")
    parts = []
    for chosen in (slice(None, -count), slice(-count, None)):
        if isinstance(images.pixels, Ragged):
            cut = [images.image(row)[..., chosen] for row in range(len(images))]
            shapes = np.array([image.shape for image in cut], dtype=np.int64)
            ends = np.cumsum([0, *shapes.prod(axis=1)], dtype=np.int64)
            flat = np.concatenate([image.reshape(-1) for image in cut])
            pixels: Ragged | np.ndarray = Ragged(flat, ends[:-1], shapes)
        else:
            pixels = np.ascontiguousarray(images.pixels[..., chosen])
        parts.append(replace(images, pixels=pixels, target_channels=0, target_source=""))
    return parts[0], parts[1]


def _match(inputs: ImageSet, targets: ImageSet) -> tuple[Indices, Indices, tuple[str, ...]]:
    """Rows of the inputs and of their targets, and notes about those without a partner."""
    own, other = _keys(inputs.names), _keys(targets.names)
    places = {key: row for row, key in enumerate(other)}
    rows = [row for row, key in enumerate(own) if key in places]
    if not rows:
        bases = [[PurePosixPath(name).stem for name in images.names] for images in (inputs, targets)]
        if bases[0] == bases[1] or (len(inputs) == len(targets) == 1):
            every = np.arange(len(inputs), dtype=np.int64)
            return every, every, ()
        raise DataError(
            "no image of {source} has a target of its name in {targets}: {name}, {target}",
            id="data.no-pairs",
            source=inputs.source,
            targets=targets.source,
            name=inputs.names[0],
            target=targets.names[0],
        )
    paired = {own[row] for row in rows}
    alone = [
        *(name for name, key in zip(inputs.names, own, strict=True) if key not in paired),
        *(f"{name} (target)" for name, key in zip(targets.names, other, strict=True) if key not in paired),
    ]
    notes = (_unpaired(alone),) if alone else ()
    return np.array(rows, np.int64), np.array([places[own[row]] for row in rows], np.int64), notes


def _unpaired(names: Sequence[str]) -> str:
    ending = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    named = ", ".join(names[:MAX_NAMED])
    return f"{format_count(len(names), 'image')} without a partner left out: {named}{ending}"


def _keys(names: Sequence[str]) -> list[str]:
    """Names without their common start and, if they stay different, without suffixes."""
    paths = [PurePosixPath(name) for name in names]
    start = 0
    while all(len(path.parts) > start + 1 for path in paths):
        if len({path.parts[start] for path in paths}) > 1:
            break
        start += 1
    short = [str(PurePosixPath(*path.parts[start:]).with_suffix("")) for path in paths]
    counts = Counter(short)
    return [
        key if counts[key] == 1 else str(PurePosixPath(*path.parts[start:]))
        for key, path in zip(short, paths, strict=True)
    ]
