"""Images of one origin (a patient, a scene, a video) on both sides of a split: a test that knows the answer.

The origin is read from a file of `name,group` lines, or from the names: a pattern whose first group it is,
or, by default, the name without its last number (`scan-012-slice-03` → `scan-012-slice`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isthmus.errors import DataError, UsageError
from isthmus.escaping import csv_rows
from isthmus.input_files import read_text, special_kind

_LAST_NUMBER = re.compile(r"^(.*?)[-_. ]*\d+$")


@dataclass(frozen=True)
class Leak:
    """One origin in both sets: how many images each has of it, and the first names."""

    group: str
    here: int
    there: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Leakage:
    """Origins in both sets, largest first; `known` is how many origins were told apart, and `how`."""

    leaks: tuple[Leak, ...]
    known: int
    how: str


def leakage(names: Sequence[str], others: Sequence[str], groups: str | None = None) -> Leakage | None:
    """Which origins are in both sets; None where names say nothing about origins.

    Args:
        names, others: of the images of either set.
        groups: a file of `name,group` lines, or a regular expression; None guesses from the names.

    Raises:
        DataError: the file is no such list. UsageError: not a regular expression with a group.
    """
    key, how = _key(groups)
    here = [key(name) for name in names]
    there = [key(name) for name in others]
    known = {group for group in (*here, *there) if group}
    if groups is None and not _speaks(here, there):
        return None
    left, right = Counter(filter(None, here)), Counter(filter(None, there))
    shared = sorted(left.keys() & right.keys(), key=lambda group: (-left[group] - right[group], group))
    leaks = tuple(
        Leak(
            group,
            left[group],
            right[group],
            tuple([n for n, g in zip(names, here, strict=True) if g == group][:2])
            + tuple([n for n, g in zip(others, there, strict=True) if g == group][:2]),
        )
        for group in shared
    )
    return Leakage(leaks, len(known), how)


def _key(groups: str | None) -> tuple[Callable[[str], str | None], str]:
    if groups is None:
        return _without_number, "names without their last number"
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
            "'{groups}' has no group: put the part that names the origin in brackets",
            id="audit.pattern-without-group",
            groups=groups,
        )

    def by_pattern(name: str) -> str | None:
        match = pattern.search(name)
        return match.group(1) if match else None

    return by_pattern, f"the pattern {groups}"


def read_groups(path: str | os.PathLike[str]) -> Mapping[str, str]:
    """Lines `name,group` of comma-separated values; also unquoted names may hold commas.

    Raises:
        DataError: missing, not text, or a line without a comma.
    """
    found = {}
    try:
        rows = csv_rows(read_text(path))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not a list of groups: {reason}", id="audit.not-a-group-list", path=path, reason=why
        ) from None
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
                row=",".join(row)[:60],
            )
        found[",".join(name).strip()] = group.strip()
    return found


def _without_number(name: str) -> str | None:
    stem = PurePosixPath(name).stem
    match = _LAST_NUMBER.match(stem)
    return match.group(1) or None if match else None


def _speaks(here: Sequence[str | None], there: Sequence[str | None]) -> bool:
    # `img_0001 … img_9999` have one origin for all, which is none; nor are as many as there are images.
    groups = {group for group in (*here, *there) if group}
    total = len(here) + len(there)
    return 2 <= len(groups) <= total / 2 and sum(map(bool, (*here, *there))) > 0.9 * total
