"""Lists of image files: paths with labels and groups, with or without a header or a byte order mark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.images.grouping import number_groups

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
    found = isthmus.read(folder / "list.csv")
    assert found.names == ("scans/3.png", "scans/1.png", "scans/0.png", "scans/2.png")
    assert [int(found.image(row)[0, 0, 0]) for row in range(4)] == [30, 10, 0, 20]
    assert found.labels is not None
    assert [found.classes[label] for label in found.labels] == ["cat", "dog", "cat", "dog"]
    if header:
        assert number_groups(found, str(folder / "list.csv")).tolist() == [0, 1, 1, 0]
        assert any("names groups" in note for note in found.notes)


def test_paths_alone_tabs_and_missing_files(folder: Path) -> None:
    (folder / "list.txt").write_text("scans/2.png\nscans/none.png\n\n", "utf-8-sig")
    found = isthmus.read(folder / "list.txt")
    assert (found.names, found.labels) == (("scans/2.png",), None)
    assert [(one.name, one.reason) for one in found.skipped] == [("scans/none.png", "no such file")]
    (folder / "list.tsv").write_text("path\tlabel\nscans/2.png\ta\nscans/1.png\t\n")
    tabbed = isthmus.read(folder / "list.tsv")
    assert tabbed.labels is None
    assert "1 of 2 rows" in tabbed.notes[0]
    (folder / "empty.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="names no images"):
        isthmus.read(folder / "empty.csv")
