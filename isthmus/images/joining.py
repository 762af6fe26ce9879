"""Several sets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.mapped import room
from isthmus.images.store import ImageSet, Ragged, Skipped


def joined(sets: Sequence[ImageSet], *, source: str, skipped: Sequence[Skipped] = ()) -> ImageSet:
    """The images of at least one set, in order, all with the widest channels and sample type among them.

    Gray becomes colour and alpha is laid on white where channels differ; 8 bits become 16 and integers floats
    where samples differ. Labels are kept where all sets have them, of the same classes.

    Raises:
        DataError: different numbers of channels, one of them above 4.
    """
    channels = {one.channels for one in sets}
    wanted = channels.pop() if len(channels) == 1 else (3 if max(channels) > 2 else 1)
    dtype = np.result_type(*{one.dtype for one in sets})
    shapes = np.array(
        [(*one.image(i).shape[:2], wanted) for one in sets for i in range(len(one))], dtype=np.int64
    )
    ends = np.cumsum([0, *shapes.prod(axis=1)], dtype=np.int64)
    flat = room((int(ends[-1]),), dtype)
    at = 0
    for one in sets:
        for index in range(len(one)):
            image = to_dtype(one.image(index), dtype)
            flat[ends[at] : ends[at + 1]] = (
                image if image.shape[2] == wanted else to_channels(image, wanted)
            ).reshape(-1)
            at += 1
    alike = (shapes == shapes[0]).all()
    labelled = all(one.labels is not None and one.classes == sets[0].classes for one in sets)
    notes = dict.fromkeys(note for one in sets for note in one.notes)
    return ImageSet(
        pixels=flat.reshape(len(shapes), *shapes[0]) if alike else Ragged(flat, ends[:-1], shapes),
        names=tuple(name for one in sets for name in one.names),
        labels=np.concatenate([one.labels for one in sets if one.labels is not None]) if labelled else None,
        classes=sets[0].classes if labelled else (),
        source=source,
        skipped=(*skipped, *(left for one in sets for left in one.skipped)),
        notes=tuple(notes),
    )
