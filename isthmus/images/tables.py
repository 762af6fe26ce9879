"""A list of image files, `.csv`, `.tsv` or `.txt`: a path in each line, and where known its label and group.

    path,label,patient           a header names the columns, in any order;
    scans/1.png,benign,p01       without one they are path, label and group

Paths are relative to the folder of the list. A byte order mark is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import DataError
from isthmus.escaping import csv_rows, list_names
from isthmus.images.listing import ImageFile, Listing
from isthmus.input_files import read_text
from isthmus.messages import Message
from isthmus.wording import format_count

SUFFIXES = (".csv", ".tsv", ".txt")
_HEADERS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "name"),
    "label": ("label", "labels", "class", "class_name", "target", "category", "diagnosis"),
    "group": ("group", "patient", "patient_id", "subject", "subject_id", "case", "case_id", "origin", "site"),
}


@dataclass(frozen=True)
class TableRow:
    """One image of a list, as it is written there; empty where it says nothing."""

    path: str
    label: str = ""
    group: str = ""


def read_table(path: str | os.PathLike[str]) -> Listing:
    """The files of a list, in its order, called as they are written there.

    Raises:
        DataError: unreadable, or without a single path.
    """
    rows = read_rows(path)
    folder = Path(path).parent
    files = [ImageFile(os.fspath(folder / row.path), row.path, row.label or None) for row in rows]
    missing = [row.path for row in rows if not row.label]
    notes: tuple[str, ...] = ()
    if missing and len(missing) < len(rows):
        note = Message(
            "{missing:,} of {rows} in {path} without a label, such as {name}: labels are not read",
            id="reading.rows-without-label",
            missing=len(missing),
            rows=format_count(len(rows), "row"),
            path=os.fspath(path),
            name=missing[0],
        )
        notes = (note,)
    if any(row.group for row in rows):
        note = Message(
            "{path} names groups: to keep the images of a group on one side, give it as groups too",
            id="reading.list-names-groups",
            path=os.fspath(path),
        )
        notes = (*notes, note)
    return Listing(files, (), notes)


def read_rows(path: str | os.PathLike[str]) -> list[TableRow]:
    """The rows of a list that name an image.

    Raises:
        DataError: unreadable, or none does.
    """
    suffix = Path(path).suffix.lower()
    try:
        text = read_text(path)
        if suffix == ".txt":
            rows = [TableRow(name) for name in list_names(text)]
        elif suffix == ".tsv":
            rows = _by_columns([line.split("\t") for line in text.splitlines()])
        else:
            rows = _by_columns(csv_rows(text))
    except (OSError, ValueError) as error:
        raise DataError(
            "{path} is not a list of image files: {reason}",
            id="data.table-unreadable",
            path=path,
            reason=getattr(error, "strerror", None) or error,
        ) from None
    if not rows:
        raise DataError("{path} names no images", id="data.name-list-empty", path=path)
    return rows


def header_columns(row: Sequence[str]) -> dict[str, int] | None:
    """Which columns are `path`, `label` and `group`, by the header; None where this is no header."""
    cells = [cell.strip().lower() for cell in row]
    columns = {
        kind: next(place for place, cell in enumerate(cells) if cell in names)
        for kind, names in _HEADERS.items()
        if any(cell in names for cell in cells)
    }
    return columns if "path" in columns else None


def _by_columns(rows: Sequence[Sequence[str]]) -> list[TableRow]:
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    columns = header_columns(rows[0]) if rows else None
    body = rows if columns is None else rows[1:]
    places = {"path": 0, "label": 1, "group": 2} if columns is None else columns

    def cell(row: Sequence[str], kind: str) -> str:
        place = places.get(kind)
        return row[place].strip() if place is not None and place < len(row) else ""

    table_rows = (TableRow(cell(row, "path"), cell(row, "label"), cell(row, "group")) for row in body)
    return [row for row in table_rows if row.path]
