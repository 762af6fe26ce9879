"""Groups, such as patients: what belongs to one is held out together, whatever copies there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.api.normal_pictures import _group_keys
from isthmus.api.picture_listing import open_pictures
from isthmus.errors import DataError, UsageError
from isthmus.evaluation.selection.objectives import split_folds
from isthmus.evaluation.training_data import find_training_split
from isthmus.images.grouping import group_images, number_groups, read_groups
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
    train, held = hold_out(patients, share, groups=number_groups(group_images(patients, PATTERN)))
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
    _, held = hold_out(patients, 0.3, groups=number_groups(group_images(patients, PATTERN)))
    _, again = hold_out(shuffled, 0.3, groups=number_groups(group_images(shuffled, PATTERN)))
    assert patient_of(patients, held) == patient_of(shuffled, again)


def test_folds_keep_patients_together(patients: ImageSet) -> None:
    numbers = number_groups(group_images(patients, PATTERN))
    folds = split_folds(patients, 3, groups=numbers)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(41))
    for train, test in folds:
        assert not patient_of(patients, train) & patient_of(patients, test)
    with pytest.raises(DataError, match="has 7 groups: too few for 8 folds"):
        split_folds(patients, 8, groups=numbers)


def test_groups_by_a_list_with_a_byte_order_mark(patients: ImageSet, tmp_path: Path) -> None:
    lines = "".join(f"{name},{name[1]}\n" for name in patients.names)
    (tmp_path / "groups.csv").write_text(lines, "utf-8-sig")
    assert (
        group_images(patients, str(tmp_path / "groups.csv")).groups == group_images(patients, PATTERN).groups
    )


def test_groups_that_match_nothing_or_everything_are_refused_with_counts(patients: ImageSet) -> None:
    with pytest.raises(
        DataError, match=r"the pattern q\(.d\+\) matches none of 41 names, such as 'p0_00.png'"
    ):
        group_images(patients, r"q(\d+)")
    with pytest.raises(DataError, match="all 41 images are of one group, 'p'"):
        group_images(patients, "^(p)")
    with pytest.raises(UsageError, match="no group"):
        group_images(patients, "p")


def test_a_training_holds_out_whole_patients(patients: ImageSet, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"recipe": "dense", "code": "2", "steps": 2, "validation": 0.3}
    model = isthmus.train(patients, groups=PATTERN, **options)
    assert model.summary["options"]["groups"] == PATTERN
    _, held = hold_out(patients, 0.3, groups=number_groups(group_images(patients, PATTERN)))
    assert model.summary["data"]["held_out"] == len(held)
    with pytest.raises(DataError, match="matches none of 41 names"):
        isthmus.train(patients, groups=r"case(\d+)", **options)
    with pytest.raises(UsageError, match="no images are held out"):
        isthmus.train(patients, groups=PATTERN, val=patients, recipe="dense", code="2", steps=2)
    caplog.set_level("INFO")
    group_images(patients, r"p(\d+)_\d")
    assert "matches 40 of 41 names; each other, such as 'p1_copy.png', is a group of its own" in caplog.text


def test_compare_and_tune_hold_out_whole_patients(patients: ImageSet) -> None:
    comparison = isthmus.compare(patients, ["dense"], code="2", steps=2, groups=PATTERN)
    _, held = hold_out(patients, 0.2, seed=1, groups=number_groups(group_images(patients, PATTERN)))
    assert comparison.test_images == len(held)
    with pytest.raises(DataError, match="matches none"):
        isthmus.compare(patients, ["dense"], code="2", steps=2, groups="x(.)")
    tuned = isthmus.tune(patients, ["code=2"], recipe="dense", folds=2, steps=2, groups=PATTERN)
    assert tuned.best in tuned.front
    with pytest.raises(DataError, match="matches none"):
        isthmus.tune(patients, ["code=2"], recipe="dense", folds=2, steps=2, groups="x(.)")


@pytest.fixture
def listed(patients: ImageSet, tmp_path: Path) -> Path:
    """A list of the patients' images that names patients as groups."""
    lines = "".join(f"scans/{name};{name[1]}\n" for name in patients.names)
    (tmp_path / "list.csv").write_text(f"path;patient\n{lines}")
    return tmp_path / "list.csv"


def notes_of(caplog: pytest.LogCaptureFixture) -> int:
    return sum("names groups: the images of a group" in message for message in caplog.messages)


def test_groups_that_a_list_names_are_held_out_without_being_asked_for(
    listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    images = isthmus.read(listed)
    assert images.groups == tuple(name.removeprefix("scans/")[1] for name in images.names)
    assert not any("group" in note for note in images.notes)
    _, held = hold_out(images, 0.3, groups=number_groups(images))
    _, apart = hold_out(images, 0.3)
    assert len(held) != len(apart) or (held != apart).any()
    model = isthmus.train(listed, recipe="dense", code="2", steps=2, validation=0.3)
    assert model.summary["data"]["held_out"] == len(held)
    assert notes_of(caplog) == 1
    split = find_training_split(model)
    assert split is not None
    assert split.held_out is not None
    assert set(split.held_out.names) == {images.names[row] for row in held}


@pytest.mark.parametrize("use", ["compare", "tune"])
def test_compare_and_tune_follow_the_groups_of_a_list(
    listed: Path, use: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    parts: list[tuple[ImageSet, ImageSet]] = []

    def spy(images: ImageSet, *args: Any, **options: Any) -> Any:
        split = hold_out(images, *args, **options)
        parts.append((images.subset(split[0]), images.subset(split[1])))
        return split

    monkeypatch.setattr("isthmus.training.data.hold_out", spy)

    def run(**options: Any) -> None:
        if use == "compare":
            isthmus.compare(listed, ["dense"], code="2", steps=2, **options)
        else:
            isthmus.tune(listed, ["code=2"], recipe="dense", folds=2, steps=2, **options)

    run()
    assert notes_of(caplog) == 1
    caplog.clear()
    run(groups=r"/p(\d)")
    assert notes_of(caplog) == 0
    assert len(parts) == (2 if use == "compare" else 4)
    for train, held in parts:  # also inside of the trainings
        assert len(held) > 0
        assert not set(train.groups) & set(held.groups)


def test_a_group_left_alone_in_a_fold_does_not_fail_its_trial(listed: Path) -> None:
    lines = [line for line in listed.read_text().splitlines() if line[-1:] in ("t", "2", "3")]
    listed.write_text("\n".join(lines))
    for groups in (None, r"/p(\d)"):
        tuning = isthmus.tune(listed, ["code=2"], recipe="dense", folds=2, steps=2, groups=groups)
        assert [trial.state for trial in tuning.trials] == ["done"]


def test_a_list_of_one_group_is_divided_all_the_same(listed: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lines = [f"{line[:-1]}1" for line in listed.read_text().splitlines()[1:]]
    listed.write_text("\n".join(["path;patient", *lines]))
    model = isthmus.train(listed, recipe="dense", code="2", steps=2, validation=0.3)
    assert model.summary["data"]["held_out"] > 0
    assert "of one group, '1': a part of it is held out" in caplog.text


def test_audit_and_anomalies_follow_the_groups_of_lists(listed: Path, tmp_path: Path) -> None:
    lines = listed.read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join(lines[:21]))
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *lines[21:]]))
    first, second = ({line[-1] for line in part} for part in (lines[1:21], lines[21:]))
    leakage = isthmus.audit(tmp_path / "a.csv", against=tmp_path / "b.csv").leakage
    assert leakage is not None
    assert (leakage.how, {leak.group for leak in leakage.leaks}) == (
        "the groups of both lists",
        first & second,
    )
    model = isthmus.train(listed, recipe="dense", code="2", steps=2, validation=0.3)
    source = open_pictures(model, listed).subset([0, 8, 3])
    assert source.groups == tuple(source.names[row].removeprefix("scans/")[1] for row in range(3))
    keys = _group_keys(source, None, ["x", "y", "z"])
    assert keys == [f"group {group}" for group in source.groups]
    assert _group_keys(source, r"(_0)", ["x", "y", "z"])[0] == "group _0"


def test_sets_of_lists_keep_their_groups_when_they_are_joined(listed: Path, patients: ImageSet) -> None:
    joined = isthmus.read([listed, patients])
    assert joined.groups[:41] == isthmus.read(listed).groups
    assert set(joined.groups[41:]) == {""}


def test_two_groups_of_one_name_are_refused(patients: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("a.png,1\na.png,1\nb.png,1\nb.png,2\n")
    with pytest.raises(DataError, match=r"lists b.png twice, with the groups '1' and '2'"):
        group_images(patients, str(tmp_path / "groups.csv"))


@pytest.mark.parametrize(
    ("name", "text", "groups"),
    [
        ("a.csv", "a;b.png;g1\nc.png;g2\n", {"a;b.png": "g1", "c.png": "g2"}),
        ("b.csv", "a\tb.png,g1\nc.png,g2\n", {"a\tb.png": "g1", "c.png": "g2"}),
        ("c.csv", "c.png,g2\na\tb.png,d,g1\n", {"a\tb.png,d": "g1", "c.png": "g2"}),
        ("d.tsv", 'a,"b.png\tg1\nc;d.png\tg2\n', {'a,"b.png': "g1", "c;d.png": "g2"}),
        ("e.txt", "a\tb.png\tg1\nc.png\tg2\n", {"a\tb.png": "g1", "c.png": "g2"}),
    ],
)
def test_names_with_delimiters_in_lists_of_groups(
    tmp_path: Path, name: str, text: str, groups: dict[str, str]
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_groups(tmp_path / name) == groups
