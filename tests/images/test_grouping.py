"""Groups, such as patients: what belongs to one is held out together, whatever copies there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError, UsageError
from isthmus.evaluation.selection.objectives import split_folds
from isthmus.images.grouping import number_groups
from isthmus.images.store import ImageSet
from isthmus.images.subsets import hold_out

PATTERN = r"p(\d+)_"


@pytest.fixture
def patients(tmp_path: Path) -> ImageSet:
    """40 images of 8 patients; image 0 of patient 0 is also one of patient 1."""
    random = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    for index in range(40):
        pixels = random.integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"p{index % 8}_{index:02d}.png")
    (tmp_path / "scans" / "p1_copy.png").write_bytes((tmp_path / "scans" / "p0_00.png").read_bytes())
    return isthmus.read(tmp_path / "scans")


def patient_of(images: ImageSet, rows: np.ndarray) -> set[str]:
    return {images.names[int(row)][1] for row in rows}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_no_patient_is_on_both_sides(patients: ImageSet, share: float) -> None:
    train, held = hold_out(patients, share, groups=number_groups(patients, PATTERN))
    assert sorted([*train, *held]) == list(range(41))
    assert len(held) >= 5
    assert not patient_of(patients, train) & patient_of(patients, held)
    # Patients 0 and 1 share a picture: parted, it would be on both sides.
    assert ("0" in patient_of(patients, held)) == ("1" in patient_of(patients, held))
    plain, apart = hold_out(patients, share)
    assert patient_of(patients, plain) & patient_of(patients, apart)


def test_which_patients_are_held_out_depends_on_content_alone(patients: ImageSet) -> None:
    order = np.random.default_rng(1).permutation(41)
    shuffled = patients.subset(order)
    _, held = hold_out(patients, 0.3, groups=number_groups(patients, PATTERN))
    _, again = hold_out(shuffled, 0.3, groups=number_groups(shuffled, PATTERN))
    assert patient_of(patients, held) == patient_of(shuffled, again)


def test_folds_keep_patients_together(patients: ImageSet) -> None:
    numbers = number_groups(patients, PATTERN)
    folds = split_folds(patients, 3, groups=numbers)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(41))
    for train, test in folds:
        assert not patient_of(patients, train) & patient_of(patients, test)
    with pytest.raises(DataError, match="has 7 groups: too few for 8 folds"):
        split_folds(patients, 8, groups=numbers)


def test_groups_by_a_list_with_a_byte_order_mark(patients: ImageSet, tmp_path: Path) -> None:
    lines = "".join(f"{name},{name[1]}\n" for name in patients.names)
    (tmp_path / "groups.csv").write_text(lines, "utf-8-sig")
    listed = number_groups(patients, str(tmp_path / "groups.csv"))
    assert np.array_equal(listed, number_groups(patients, PATTERN))


def test_groups_that_match_nothing_or_everything_are_refused_with_counts(patients: ImageSet) -> None:
    with pytest.raises(
        DataError, match=r"the pattern q\(.d\+\) matches none of 41 names, such as 'p0_00.png'"
    ):
        number_groups(patients, r"q(\d+)")
    with pytest.raises(DataError, match="all 41 images are of one group, 'p'"):
        number_groups(patients, "^(p)")
    with pytest.raises(UsageError, match="no group"):
        number_groups(patients, "p")


def test_a_training_holds_out_whole_patients(patients: ImageSet, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"recipe": "dense", "code": "2", "steps": 2, "validation": 0.3}
    model = isthmus.train(patients, groups=PATTERN, **options)
    assert model.summary["options"]["groups"] == PATTERN
    _, held = hold_out(patients, 0.3, groups=number_groups(patients, PATTERN))
    assert model.summary["data"]["held_out"] == len(held)
    with pytest.raises(DataError, match="matches none of 41 names"):
        isthmus.train(patients, groups=r"case(\d+)", **options)
    with pytest.raises(UsageError, match="no images are held out"):
        isthmus.train(patients, groups=PATTERN, val=patients, recipe="dense", code="2", steps=2)
    caplog.set_level("INFO")
    number_groups(patients, r"p(\d+)_\d")
    assert "matches 40 of 41 names; each other, such as 'p1_copy.png', is a group of its own" in caplog.text


def test_compare_and_tune_hold_out_whole_patients(patients: ImageSet) -> None:
    found = isthmus.compare(patients, ["dense"], code="2", steps=2, groups=PATTERN)
    _, held = hold_out(patients, 0.2, seed=1, groups=number_groups(patients, PATTERN))
    assert found.test_images == len(held)
    with pytest.raises(DataError, match="matches none"):
        isthmus.compare(patients, ["dense"], code="2", steps=2, groups="x(.)")
    tuned = isthmus.tune(patients, ["code=2"], recipe="dense", folds=2, steps=2, groups=PATTERN)
    assert tuned.best in tuned.front
    with pytest.raises(DataError, match="matches none"):
        isthmus.tune(patients, ["code=2"], recipe="dense", folds=2, steps=2, groups="x(.)")
