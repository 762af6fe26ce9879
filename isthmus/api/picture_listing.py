"""The pictures of DATA: files of a folder are listed, to be read one at a time; all else is read at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.api.inputs import DataLike, PathLike, Range, check_count, check_is_data, read_images_for
from isthmus.api.picture_masks import IgnoredRegions
from isthmus.api.picture_source import PictureSource
from isthmus.log import log_note, log_skipped
from isthmus.messages import as_message

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder


def open_pictures(
    model: Autoencoder,
    data: DataLike,
    *,
    limit: int | None = None,
    range: Range | None = None,
    ignore_mask: PathLike | None = None,
) -> PictureSource:
    """The pictures of DATA. A folder of files is only listed; everything else is read at once.

    Raises:
        UsageError, DataError: see `read_images_for`.
    """
    from isthmus.images.listing import labels_of, list_images
    from isthmus.images.sample_range import check_range
    from isthmus.images.shards import find_shards
    from isthmus.images.subsets import even_rows

    ignored = None if ignore_mask is None else IgnoredRegions(ignore_mask)
    is_path = isinstance(data, (str, os.PathLike)) and bool(os.fspath(data))
    if not is_path or not Path(data).is_dir() or find_shards(Path(data)):
        images = read_images_for(model, data, limit=limit, range=range)
        return PictureSource(
            model,
            images.names,
            images.labels,
            images.classes,
            images.source,
            list(images.skipped),
            images,
            _range=range,
            _ignored=ignored,
            groups=images.groups,
        )
    check_is_data(data)
    check_count("limit", limit)
    range = check_range(range)
    listed = list_images(Path(data))
    for note in listed.notes:
        log_note(as_message(note, id="reading.note"))
    log_skipped(listed.skipped)
    labels, classes = labels_of(listed.files, listed.files)
    source = PictureSource(
        model,
        tuple(file.name for file in listed.files),
        labels,
        classes,
        os.fspath(data),
        list(listed.skipped),
        None,
        tuple(listed.files),
        range,
        ignored,
    )
    if limit is None or limit >= len(source):
        return source
    return source.subset(even_rows(len(source), limit).tolist())
