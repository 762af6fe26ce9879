"""A list of image files, `.csv`, `.tsv` or `.txt`: a path in each line, and where known its label and group.

    path,label,patient           a header names the columns, in any order;
    scans/1.png,benign,p01       without one they are path, label and group

Cells are parted by commas, semicolons or tabs, those of a `.tsv` by tabs alone. Paths are relative to the
folder of the list. The text is UTF-8, with or without a byte order mark, or UTF-16 with one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import DataError
from isthmus.escaping import csv_rows, list_names
from isthmus.images.listing import ImageFile, Listing
from isthmus.input_files import read_text
from isthmus.messages import Message
from isthmus.wording import choose_word, format_count

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
SUFFIXES = (".csv", ".tsv", ".txt")
_HEADERS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "name"),
    "label": ("label", "labels", "class", "class_name", "target", "category", "diagnosis"),
    "group": ("group", "patient", "patient_id", "subject", "subject_id", "case", "case_id", "origin", "site"),
}


@dataclass(frozen=True)
class TableRow:
    """One image of a list, as written there; empty strings for missing cells."""

    path: str
    label: str = ""
    group: str = ""


def read_table(path: str | os.PathLike[str]) -> Listing:
    """The files of a list, in its order, called as they are written there; each once.

    Raises:
        DataError: unreadable, without a single path, or with two labels or groups for one file.
    """
    rows = read_rows(path)
    folder = Path(path).parent
    by_place: dict[str, TableRow] = {}
    for row in rows:
        place = os.path.normpath(folder / row.path)
        earlier = by_place.setdefault(place, row)
        check_one_value(path, row.path, "label", earlier.label, row.label)
        check_one_value(path, row.path, "group", earlier.group, row.group)
    files = [
        ImageFile(os.fspath(folder / row.path), row.path, row.label or None, group=row.group)
        for row in by_place.values()
    ]
    notes: tuple[str, ...] = ()
    if again := len(rows) - len(files):
        note = Message(
            "{rows} of {path} {verb} a file that is listed before: each is read once",
            id="reading.rows-again",
            rows=format_count(again, "row"),
            path=os.fspath(path),
            verb=choose_word(again, "names", "name"),
        )
        notes = (note,)
    missing = [file.name for file in files if file.label is None]
    if missing and len(missing) < len(files):
        note = Message(
            "{missing:,} of {rows} in {path} without a label, such as {name}: labels are not read",
            id="reading.rows-without-label",
            missing=len(missing),
            rows=format_count(len(files), "row"),
            path=os.fspath(path),
            name=missing[0],
        )
        notes = (*notes, note)
    return Listing(files, (), notes)


def check_one_value(path: str | os.PathLike[str], name: str, kind: str, earlier: str, other: str) -> None:
    """Raises:
    DataError: a list holds two different values for one image.
    """
    if earlier != other:
        raise DataError(
            "{path} lists {name} twice, with the {kind}s '{earlier}' and '{other}'",
            id="data.list-contradicts",
            path=os.fspath(path),
            name=name,
            kind=kind,
            earlier=earlier,
            other=other,
        )


def read_rows(path: str | os.PathLike[str]) -> list[TableRow]:
    """The rows of a list that name an image.

    Raises:
        DataError: unreadable, or none does.
    """
    try:
        if Path(path).suffix.lower() == ".txt":
            rows = [TableRow(name) for name in list_names(read_text(path))]
        else:
            rows = _by_columns(read_cells(path)[0])
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


def read_cells(path: str | os.PathLike[str], *, even: bool = True) -> tuple[list[list[str]], str]:
    """The rows of a table, and the separator of their cells.

    It is a tab in a `.tsv`, where quotes have no special meaning. Else it is the one that Excel's first line
    `sep=;` names; a tab or semicolon if it makes the first line a header, or divides each line into cells;
    and a comma otherwise.

    Args:
        path: of the file.
        even: without a header, tabs and semicolons part cells only where all lines have equally many.

    Raises:
        OSError, ValueError: unreadable, or no such table.
    """
    text = read_text(path)
    first, _, rest = text.lstrip("\r\n").partition("\n")
    if named := re.fullmatch(r"sep=([,;\t])\r?", first):
        return csv_rows(rest, named[1]), named[1]
    if Path(path).suffix.lower() == ".tsv":
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return [line.split("\t") for line in lines], "\t"
    bare = _QUOTED.sub("", first)
    candidates = [delimiter for delimiter in "\t;," if delimiter in bare]
    for delimiter in candidates:
        if header_columns(next(iter(csv_rows(first, delimiter)))) is not None:
            return csv_rows(text, delimiter), delimiter
    for delimiter in candidates:
        if delimiter == "," or (delimiter == ";" and "," in candidates):
            continue
        rows = csv_rows(text, delimiter)
        counts = {len(row) for row in rows if any(cell.strip() for cell in row)}
        if min(counts, default=0) > 1 and (len(counts) == 1 or not even):
            return rows, delimiter
    return csv_rows(text), ","


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
