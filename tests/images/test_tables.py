"""Lists of image files: paths with labels and groups, with or without a header or a byte order mark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.images.tables import read_rows

LABELS = ["cat", "dog", "dog", "cat"]
PATIENTS = ["p1", "p1", "p2", "p2"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    for index in range(4):
        Image.fromarray(np.full((6, 5), 10 * index, np.uint8)).save(tmp_path / "scans" / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("header", ["", "file,label,patient", "patient_id,Class,Image_Path"])
def test_labels_and_groups_of_a_list(folder: Path, encoding: str, header: str) -> None:
    lines = [header] if header else []
    for index in (3, 1, 0, 2):
        cells = [f"scans/{index}.png", LABELS[index], PATIENTS[index]]
        lines.append(",".join(cells if not header.startswith("patient") else reversed(cells)))
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding)
    images = isthmus.read(folder / "list.csv")
    assert images.names == ("scans/3.png", "scans/1.png", "scans/0.png", "scans/2.png")
    assert [int(images.image(row)[0, 0, 0]) for row in range(4)] == [30, 10, 0, 20]
    assert images.labels is not None
    assert [images.classes[label] for label in images.labels] == ["cat", "dog", "cat", "dog"]
    assert images.groups == tuple(PATIENTS[index] for index in (3, 1, 0, 2))


def test_paths_alone_tabs_and_missing_files(folder: Path) -> None:
    (folder / "list.txt").write_text("scans/2.png\nscans/none.png\n\n", "utf-8-sig")
    images = isthmus.read(folder / "list.txt")
    assert (images.names, images.labels) == (("scans/2.png",), None)
    assert [(skipped.name, skipped.reason) for skipped in images.skipped] == [
        ("scans/none.png", "no such file")
    ]
    (folder / "list.tsv").write_text("path\tlabel\nscans/2.png\ta\nscans/1.png\t\n")
    tabbed = isthmus.read(folder / "list.tsv")
    assert tabbed.labels is None
    assert "1 of 2 rows" in tabbed.notes[0]
    (folder / "empty.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="names no images"):
        isthmus.read(folder / "empty.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
def test_tables_as_spreadsheets_write_them(
    folder: Path, encoding: str, delimiter: str, *, header: bool
) -> None:
    rows = [["path", "label", "group"]] if header else []
    rows += [[f"scans/{index}.png", '"a, b; c"', "p\u00e41"] for index in range(2)]
    text = "".join(f"{delimiter.join(row)}\r\n" for row in rows)
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    (folder / "list.csv").write_bytes(mark + text.encode(encoding))
    images = isthmus.read(folder / "list.csv")
    assert (images.names, images.classes) == (("scans/0.png", "scans/1.png"), ("a, b; c",))
    assert images.groups == ("p\u00e41", "p\u00e41")


def test_the_separator_that_excel_names(folder: Path) -> None:
    (folder / "list.csv").write_text("sep=;\r\nscans/0.png;a\r\n")
    assert isthmus.read(folder / "list.csv").classes == ("a",)


def test_a_file_that_is_listed_twice_is_read_once_and_one_with_two_labels_refused(folder: Path) -> None:
    (folder / "list.csv").write_text("scans/0.png,a\nscans/1.png,b\nscans/../scans/0.png,a\n")
    images = isthmus.read(folder / "list.csv")
    assert images.names == ("scans/0.png", "scans/1.png")
    assert "1 row of" in images.notes[0]
    (folder / "list.csv").write_text("scans/0.png,a\nscans/1.png,b\nscans/0.png,b\n")
    with pytest.raises(DataError, match=r"lists scans/0.png twice, with the labels 'a' and 'b'"):
        isthmus.read(folder / "list.csv")
    (folder / "list.csv").write_text("scans/0.png,a,x\n./scans/0.png,a,y\n")
    with pytest.raises(DataError, match=r"with the groups 'x' and 'y'"):
        isthmus.read(folder / "list.csv")


@pytest.mark.parametrize(
    ("name", "text", "paths"),
    [
        ("a.tsv", "path\na,b.png\nc;d.png\n", ["a,b.png", "c;d.png"]),
        ("b.tsv", 'path\tlabel\r\n"a.png\tx\r\nb".png\ty\r\n', ['"a.png', 'b".png']),
        ("c.csv", "a;b.png\nc.png\n", ["a;b.png", "c.png"]),
        ("d.csv", "a\tb.png,x\nc.png,y\n", ["a\tb.png", "c.png"]),
        ("e.csv", "path,label\na;b.png,x\n", ["a;b.png"]),
        ("f.csv", "path\na;b.png\nc\td.png\n", ["a;b.png", "c\td.png"]),
        ("g.csv", "a.png;x\nc.png;y\n", ["a.png", "c.png"]),
        ("h.csv", "path\tlabel\na;b.png\tx\nc.png\n", ["a;b.png", "c.png"]),
    ],
)
def test_names_with_delimiters_in_them(tmp_path: Path, name: str, text: str, paths: list[str]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert [row.path for row in read_rows(tmp_path / name)] == paths
