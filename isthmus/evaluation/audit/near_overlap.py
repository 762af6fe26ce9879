"""A quick look for near copies on both sides of a test, such as a photograph and the same saved as JPEG.

`isthmus audit --against` looks closer: it also finds crops, and fits its limits to the images.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from isthmus.evaluation.audit.thumbnails import make_thumbnails, stretch_samples, thumbnail_size
from isthmus.images.store import ImageSet, Indices
from isthmus.images.subsets import even_rows
from isthmus.log import log_note
from isthmus.wording import format_count

MIN_CORRELATION = 0.999  # of two thumbnails: JPEG and brightness stay above, other pictures below
MIN_CONTRAST = 2 / 255  # thumbnails of less show nothing to compare
MAX_IMAGES = 2000  # of each set, evenly spaced
MIN_SIDE_PX = 8  # smaller images are similar by chance


def warn_of_near_copies(test: ImageSet, reference: ImageSet, what: str) -> None:
    """Warn where images of `test` are copies or near copies of those of `reference`.

    Args:
        what: completes "are copies or near copies of …", such as "training images".
    """
    rows = find_near_copies(test, reference)
    log_near_copies([test.names[int(row)] for row in rows], min(len(test), MAX_IMAGES), what)


def log_near_copies(names: Sequence[str], count: int, what: str) -> None:
    """Log which of `count` images are copies or near copies, where there are any.

    Args:
        what: as for `warn_of_near_copies`.
    """
    if not names:
        return
    log_note(
        "{copies} of the {images:,} compared, such as {name}, {verb} of {what}: results "
        "on those do not test the model",
        id="evaluation.near-copies",
        log_level=logging.WARNING,
        copies=format_count(len(names), "image"),
        images=count,
        name=names[0],
        verb="is a copy or near copy" if len(names) == 1 else "are copies or near copies",
        what=what,
    )


def find_near_copies(test: ImageSet, reference: ImageSet) -> Indices:
    """Rows of `test` whose image is in `reference`, also mirrored, brighter or compressed.

    At most 2,000 images of each set are looked at.
    """
    if min(thumbnail_size(test)) < MIN_SIDE_PX or not len(test) or not len(reference):
        return np.empty(0, np.int64)
    rows = even_rows(len(test), MAX_IMAGES)
    size = thumbnail_size(test)
    own, _ = _normalised_thumbnails(test.subset(rows), size)
    reference_thumbnails, flipped = _normalised_thumbnails(
        reference.subset(even_rows(len(reference), MAX_IMAGES)), size
    )
    best = torch.maximum((own @ reference_thumbnails.T).amax(1), (own @ flipped.T).amax(1))
    copies: Indices = rows[(best >= MIN_CORRELATION).numpy()]
    return copies


def _normalised_thumbnails(images: ImageSet, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Thumbnails `(N, h·w)` without mean, of length 1, and mirrored; zeros where there is no contrast."""
    gray = make_thumbnails(stretch_samples(images), size).gray
    flat = gray.flatten(1).std(1) < MIN_CONTRAST
    gray = gray - gray.mean((1, 2), keepdim=True)
    gray = gray / gray.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
    gray[flat] = 0
    return gray.flatten(1), gray.flip(2).flatten(1)
