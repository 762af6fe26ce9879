"""Groups of images, such as those of one patient: by a list, or by a pattern for their names.

Where a part of the images is held out, a group stays on one side, so that no patient is on both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from isthmus.errors import DataError, UsageError
from isthmus.images.store import ImageSet, Indices
from isthmus.images.tables import check_one_value, header_columns, read_cells, read_rows
from isthmus.input_files import special_kind
from isthmus.log import log_note
from isthmus.messages import Message
from isthmus.wording import format_count


def group_images(images: ImageSet, groups: str | None) -> ImageSet:
    """The images with the groups that are held out together: by `groups`, else by the list of the images.

    Groups of a list are mentioned in the notes of the set.

    Args:
        groups: as for `group_key`; None for those of the images.

    Raises:
        DataError, UsageError: as `group_key`; the given groups match no image, or all images are of one.
    """
    if groups is None:
        return _with_own_groups(images)
    key, how = group_key(groups)
    group_names = [key(name) for name in images.names]
    check_groups_match(group_names, images.names, how)
    if None not in group_names and len(set(group_names)) < 2:
        raise DataError(
            "{source}: all {images} are of one group, '{group}', so that none can be held out",
            id="data.one-group",
            source=images.source,
            images=format_count(len(group_names), "image"),
            group=group_names[0],
        )
    return replace(images, groups=tuple(group or "" for group in group_names))


def _with_own_groups(images: ImageSet) -> ImageSet:
    if not images.groups:
        return images
    if "" not in images.groups and len(set(images.groups)) < 2:
        note = Message(
            "all images of {source} are of one group, '{group}': a part of it is held out",
            id="reading.list-names-one-group",
            source=images.source,
            group=images.groups[0],
        )
        return replace(images, groups=(), notes=(*images.notes, note))
    note = Message(
        "{source} names groups: the images of a group are held out together",
        id="reading.list-names-groups",
        source=images.source,
    )
    return replace(images, notes=(*images.notes, note))


def number_groups(images: ImageSet) -> Indices | None:
    """The group of every image as a number `(N,)` from 0; an image without one has a number of its own.

    None where no image has a group.
    """
    if not images.groups:
        return None
    numbers: dict[str, int] = {}
    result = np.empty(len(images), dtype=np.int64)
    for row, group in enumerate(images.groups):
        # The name of an image without a group cannot be that of a group: it begins with NUL.
        result[row] = numbers.setdefault(group or f"\0{row}", len(numbers))
    return result


def check_groups_match(groups: Sequence[str | None], names: Sequence[str], how: str) -> None:
    """Check that some names have a group; log how many have none.

    Args:
        groups: the group of each name.
        names: of the images.
        how: the list or pattern, as messages call it.

    Raises:
        DataError: none has.
    """
    missing = [name for name, group in zip(names, groups, strict=True) if not group]
    if names and len(missing) == len(names):
        raise DataError(
            "{how} matches none of {names}, such as '{example}'",
            id="data.groups-match-nothing",
            how=how,
            names=format_count(len(names), "name"),
            example=names[0],
        )
    if missing:
        log_note(
            "{how} matches {matched:,} of {names}; each other, such as '{example}', is a group of its own",
            id="data.groups-match-some",
            how=how,
            matched=len(names) - len(missing),
            names=format_count(len(names), "name"),
            example=missing[0],
        )


def group_key(groups: str) -> tuple[Callable[[str], str | None], str]:
    """A function from a name to its group, or None if it has none; and its description for messages.

    Args:
        groups: a file with lines `name,group`, or a regular expression whose first group is the group.

    Raises:
        DataError: the file is no such list. UsageError: not a regular expression with a group.
    """
    if (special := special_kind(groups)) is not None:
        raise DataError("{groups} {reason}", id="audit.groups-special-file", groups=groups, reason=special)
    if Path(groups).is_file():
        table = read_groups(groups)
        return table.get, f"the list {groups}"
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise UsageError(
            "'{groups}' is neither a file nor a regular expression: {reason}",
            id="audit.groups",
            groups=groups,
            reason=error,
        ) from None
    if pattern.groups < 1:
        raise UsageError(
            "'{groups}' has no group: put the part that names the origin in parentheses",
            id="audit.pattern-without-group",
            groups=groups,
        )

    def by_pattern(name: str) -> str | None:
        match = pattern.search(name)
        return match.group(1) if match else None

    return by_pattern, f"the pattern {groups}"


def read_groups(path: str | os.PathLike[str]) -> Mapping[str, str]:
    """Lines `name,group`, or with semicolons or tabs; also unquoted names may hold these.

    Or a list of images whose header names a column of groups, see `isthmus.images.tables`.

    Raises:
        DataError: missing, not text, a line without a comma, or two groups of one name.
    """
    groups: dict[str, str] = {}
    try:
        rows, delimiter = read_cells(path, even=False)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not a list of groups: {reason}", id="audit.not-a-group-list", path=path, reason=why
        ) from None
    columns = header_columns(rows[0]) if rows else None
    if columns is not None and "group" in columns:
        for listed in read_rows(path):
            check_one_value(
                path, listed.path, "group", groups.setdefault(listed.path, listed.group), listed.group
            )
        return {name: group for name, group in groups.items() if group}
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        *name, group = row
        if not name or not group.strip():
            raise DataError(
                "{path}, line {number}: expected 'name,group', found '{row}'",
                id="audit.group-line",
                path=path,
                number=number,
                row=delimiter.join(row)[:60],
            )
        image_name, group = delimiter.join(name).strip(), group.strip()
        check_one_value(path, image_name, "group", groups.setdefault(image_name, group), group)
    return groups
