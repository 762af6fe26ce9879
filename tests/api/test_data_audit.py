"""`isthmus.audit`: one answer from both interfaces, and the files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

PARITY = {
    "audit": Parity(["audit", "photos"], lambda: isthmus.audit("photos")),
    "audit, all options": Parity(
        [
            *("audit", "photos", "--against", "photos/left", "--groups", r"(\d+)", "--seed", "1"),
            *("--model", "photos.safetensors", "-o", "audit.html", "-o", "clean.txt"),
        ],
        lambda: isthmus.audit(
            "photos", against="photos/left", groups=r"(\d+)", model="photos.safetensors", seed=1
        ),
    ),
}


def test_the_clean_list_is_what_training_takes(here: Path) -> None:
    shutil.copy(here / "photos/left/1.png", here / "photos/left/copy.png")
    (here / "photos/broken.png").write_bytes(b"no image")
    found = isthmus.audit("photos")
    copies = {(pair.first, pair.second) for pair in found.duplicates.pairs if pair.exact}
    assert ("left/1.png", "left/copy.png") in copies and "left/copy.png" not in found.clean
    assert [one.name for one in found.skipped] == ["broken.png"]
    found.save("clean.txt")
    model = isthmus.train("photos", recipe="dense", code="2", steps=1, names_from="clean.txt")
    trained_on = model.training_report.images + model.training_report.held_out
    assert trained_on == found.clean_images
    rows = {row["name"]: row for row in csv.DictReader(found.save("a.csv").read_text().splitlines())}
    assert rows["left/copy.png"]["clean"] == "0" and rows["left/copy.png"]["copies"] != "0"
    assert rows["left/1.png"]["clean"] == "1"


@pytest.mark.usefixtures("here")
def test_the_page_reads_the_pictures_again() -> None:
    shutil.copy("photos/left/1.png", "photos/right/copy.png")
    page = isthmus.audit("photos/left", against="photos/right").page()
    assert "<h2>Across the sets</h2>" in page and "data:image/png;base64," in page


@pytest.mark.usefixtures("here")
def test_groups_need_another_set() -> None:
    with pytest.raises(UsageError) as caught:
        isthmus.audit("photos", groups="(x)")
    assert "against=DATA" in str(caught.value.hint)
