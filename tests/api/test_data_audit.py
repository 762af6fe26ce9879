"""`isthmus.audit`: one answer from both interfaces, and the files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError, UsageError

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
    result = isthmus.audit("photos")
    copies = {(pair.first, pair.second) for pair in result.duplicates.pairs if pair.exact}
    assert ("left/1.png", "left/copy.png") in copies and "left/copy.png" not in result.clean
    assert [item.name for item in result.skipped] == ["broken.png"]
    result.save("clean.txt")
    model = isthmus.train("photos", recipe="dense", code="2", steps=1, names_from="clean.txt")
    trained_on = model.training_report.images + model.training_report.held_out
    assert trained_on == result.clean_images
    rows = {row["name"]: row for row in csv.DictReader(result.save("a.csv").read_text().splitlines())}
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


def test_copies_are_groups_and_the_largest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for index in range(24):
        texture(index).save(tmp_path / "photos" / f"{index:02d}.png")
    texture(3).resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / "photos" / "large.png")
    texture(3).save(tmp_path / "photos" / "same.png")
    texture(7).save(tmp_path / "photos" / "twin.png")
    result = isthmus.audit(tmp_path / "photos")
    first, second = result.duplicates.groups
    assert (first.kept, set(first.dropped)) == ("large.png", {"03.png", "same.png"})
    assert (second.kept, second.dropped) == ("07.png", ("twin.png",))
    assert len(result.clean) == 24
    assert {"large.png", "07.png"} < set(result.clean)
    assert "Images of one picture:\n  large.png (kept), " in result.summary()
    assert "  07.png (kept), twin.png" in result.summary()
    groups = result.to_dict()["duplicates"]["groups"]
    assert groups[1] == {"kept": "07.png", "dropped": ["twin.png"], "against": []}
    against = tmp_path / "test"
    against.mkdir()
    texture(7).save(against / "t.png")
    texture(99).save(against / "u.png")
    across = isthmus.audit(tmp_path / "photos", against=against)
    group = next(item for item in across.duplicates.groups if item.against)
    assert (group.kept, group.dropped, group.against) == (None, ("07.png", "twin.png"), ("t.png",))
    assert not {"07.png", "twin.png"} & set(across.clean)


@pytest.mark.parametrize("scale", [16, 4, 1])
def test_near_copies_of_dim_16_bit_pictures_are_found(tmp_path: Path, scale: int) -> None:
    for index in range(30):
        Image.fromarray(np.asarray(texture(index)).astype(np.uint16) * scale).save(tmp_path / f"{index}.png")
    for index in range(4):
        mirrored = np.asarray(texture(index))[:, ::-1].astype(np.uint16) * scale
        if index == 0:
            mirrored = mirrored.copy()
            mirrored[5, 5] = 65535  # a hot pixel does not make the set bright
        Image.fromarray(np.ascontiguousarray(mirrored)).save(tmp_path / f"mirror{index}.png")
    result = isthmus.audit(tmp_path)
    assert {frozenset((p.first, p.second)) for p in result.duplicates.pairs} >= {
        frozenset((f"{index}.png", f"mirror{index}.png")) for index in range(1, 4)
    }
    assert len(result.duplicates.pairs) <= 4


def test_groups_that_match_nothing_are_an_error_with_counts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for index in range(8):
            texture(index + 8 * (part == "test")).save(tmp_path / part / f"patient-{index % 4}_{index}.png")
    options: dict[str, Any] = {"against": tmp_path / "test"}
    result = isthmus.audit(tmp_path / "train", groups=r"patient-(\d+)", **options)
    assert result.leakage is not None
    assert len(result.leakage.leaks) == 4
    with pytest.raises(
        DataError, match=r"the pattern patinet-.* matches none of 16 names, such as 'patient-0_0"
    ):
        isthmus.audit(tmp_path / "train", groups=r"patinet-(\d+)", **options)


def texture(seed: int) -> Image.Image:
    """A gray picture of 48×48 that is unlike those of other seeds."""
    random = np.random.default_rng(seed)
    plane = np.zeros((48, 48))
    for step, gain in ((8, 0.5), (16, 0.8), (4, 0.3)):
        small = random.normal(0, 1, (48 // step + 2, 48 // step + 2)).astype(np.float32)
        plane += gain * np.asarray(Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC))
    return Image.fromarray(((plane * 0.12 + 0.5).clip(0, 1) * 255).astype(np.uint8))
