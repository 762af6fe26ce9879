"""What is planted is found, what is not there is not, and the clean list says what may stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.api.data_audit import audit
from isthmus.errors import DataError, UsageError
from isthmus.evaluation.audit.duplicate_limits import KINDS, Distortion, distort_all, mirror
from isthmus.evaluation.audit.duplicates import find_duplicates
from isthmus.evaluation.audit.image_faults import find_image_faults, find_set_faults, measure_balance
from isthmus.evaluation.audit.label_checks import find_doubtful_labels, find_leakage, principal_codes
from isthmus.evaluation.audit.thumbnails import make_thumbnails
from isthmus.images.named import read_named
from isthmus.images.store import ImageSet
from isthmus.images.subsets import keep_named

from .models import discs, trained

COUNT, PLANTED = 400, 10


def plain(pixels: np.ndarray, **more: object) -> ImageSet:
    return ImageSet(pixels, tuple(map(str, range(len(pixels)))), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def garments() -> ImageSet:
    return read_named("fashion-sample").subset(range(COUNT))


def test_planted_copies_are_found_and_nothing_else(garments: ImageSet) -> None:
    random = np.random.default_rng(11)
    kinds: list[Distortion] = [
        *KINDS.values(),
        distort_all,
        lambda image, rng: mirror(distort_all(image, rng), rng),
    ]
    chosen = random.choice(COUNT, PLANTED * len(kinds), replace=False)
    copies = np.stack([kinds[n % len(kinds)](garments.image(int(i)), random) for n, i in enumerate(chosen)])
    result = find_duplicates(plain(np.concatenate([np.asarray(garments.pixels), copies])))
    pairs = {(p.first, p.second) for p in result.pairs}
    planted = {(int(i), COUNT + n) for n, i in enumerate(chosen)}
    own = {pair for pair in pairs if max(pair) < COUNT}
    assert len(planted - pairs) <= 1
    assert len(pairs - planted - own) <= 1
    assert len(own) <= 2
    turned = {p.first for p in result.near if p.mirrored}
    assert {int(i) for n, i in enumerate(chosen) if n % len(kinds) in (3, 5)} <= turned | {
        first for first, second in planted - pairs
    }


def test_exact_copies_are_told_from_near_ones(garments: ImageSet) -> None:
    copied = garments.subset([*range(60), 7, 7])
    result = find_duplicates(copied)
    assert {(p.first, p.second) for p in result.exact} == {(7, 60), (7, 61)}
    assert all(p.error == 0 for p in result.exact) and not {p.first for p in result.near} & {60, 61}


def test_colour_tells_images_apart() -> None:
    random = np.random.default_rng(0)
    shapes = random.integers(0, 2, (40, 8, 8)).repeat(4, 1).repeat(4, 2)[..., None]
    red, blue = np.array([170, 90, 90]), np.array([88, 110, 166])  # of nearly one brightness
    pixels = np.concatenate([shapes * red, (shapes * blue)[:1], (shapes * red)[1:2] * 0.97]).astype(np.uint8)
    results = {(p.first, p.second) for p in find_duplicates(plain(pixels)).pairs}
    assert results == {(1, 41)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_images_are_no_trouble(garments: ImageSet, count: int) -> None:
    assert find_duplicates(garments.subset(range(count))).pairs == ()


def test_sizes_may_be_mixed(garments: ImageSet, tmp_path: Path) -> None:
    for index in range(20):
        picture = Image.fromarray(garments.image(index)[..., 0])
        picture.save(tmp_path / f"{index:02d}.png")
    Image.fromarray(garments.image(3)[..., 0]).resize((64, 64), Image.Resampling.BICUBIC).save(
        tmp_path / "99.png"
    )
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    Image.new("L", (28, 28), 9).save(tmp_path / "blank.png")
    result = audit(str(tmp_path))
    assert [(p.first, p.second) for p in result.duplicates.pairs] == [("03.png", "99.png")]
    assert [s.name for s in result.skipped] == ["broken.png"]
    assert ("blank.png", "constant") in {(f.name, f.kind) for f in result.faults}
    largest = {f"{i:02d}.png" for i in range(20) if i != 3} | {"99.png"}
    assert set(result.clean) == largest


def test_across_two_sets_the_test_image_stays(garments: ImageSet) -> None:
    train = garments.subset(range(80))
    test = replace(garments.subset([5, 200, 201]), source="test")
    result = audit(train, against=test)
    assert [(p.first, p.second) for p in result.across_pairs()] == [(5, 80)]
    assert "5" not in result.clean and len(result.clean) >= 78
    document = result.to_dict()
    assert document["duplicates"]["across"] == 1 and document["images_against"] == 3
    html = result.page()
    assert "Across the sets" in html and "http://" not in html


def test_wrong_labels_are_doubted() -> None:
    images = read_named("fashion-sample").subset(range(2000))
    assert images.labels is not None
    boots = images.classes.index("Ankle boot")
    wrong = np.flatnonzero(images.labels == boots)[:4]
    labels = images.labels.copy()
    labels[wrong] = images.classes.index("Dress")
    drawn = make_thumbnails(images, (28, 28))
    result = find_doubtful_labels(replace(images, labels=labels), principal_codes(drawn.gray, drawn.chroma))
    doubted = [d.index for d in result]
    assert set(wrong.tolist()) <= set(doubted) and len(doubted) < 100
    assert {d.voted for d in result if d.index in wrong} == {"Ankle boot"}
    assert all(d.vote > d.own for d in result)


def test_a_model_judges_labels_of_images_of_any_size(tmp_path: Path) -> None:
    model = trained(discs(40), "conv", code="4@4", steps=4)
    random = np.random.default_rng(0)
    for i in range(60):
        pixels = random.random((16 + 4 * (i % 3), 16)) * 60 + 150 * (i % 2)
        path = tmp_path / ("bright" if i % 2 and i != 7 else "dark") / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    result = audit(tmp_path, model=model)
    assert [doubt.name for doubt in result.doubts] == ["dark/07.png"]
    with pytest.raises(DataError, match="gray"):
        audit(isthmus.read(random.integers(0, 255, (3, 16, 16, 3), np.uint8), labels=[0, 1, 0]), model=model)


def test_faults_of_images_and_sets() -> None:
    random = np.random.default_rng(0)
    pixels = np.clip(random.normal(120, 40, (60, 16, 16, 3)), 1, 250).astype(np.uint8)
    pixels[3] = 77
    pixels[4] = 100 + (pixels[4] > 120)
    pixels[5, ..., 1] = 0
    pixels[6] = pixels[6, ..., :1]
    pixels[7] = np.where(random.random((16, 16, 1)) < 0.5, 255, pixels[7])
    kinds = {(f.index, f.kind) for f in find_image_faults(plain(pixels))}
    assert {
        (3, "constant"),
        (4, "low contrast"),
        (5, "empty channel"),
        (7, "clipped"),
    } <= kinds
    assert {index for index, _ in kinds} == {3, 4, 5, 7}  # 6, a gray photo among colour, is no fault
    assert find_set_faults(plain(pixels)) == ()
    assert "all three channels are equal" in find_set_faults(plain(pixels[..., :1].repeat(3, 3)))[0]
    assert "no value is above" in find_set_faults(plain((pixels > 128).astype(np.uint8)))[0]


def test_classes_are_counted(garments: ImageSet) -> None:
    few = plain(
        np.asarray(garments.pixels)[:50], labels=np.array([0] * 44 + [1] * 6), classes=("many", "few")
    )
    result = measure_balance(
        few, plain(np.asarray(garments.pixels)[:20], labels=np.zeros(20, int), classes=("many", "few"))
    )
    assert result is not None and result.counts == {"many": 44, "few": 6} and 1 < result.effective < 2
    assert any("one of the two sets only" in text for text in result.remarks)
    assert measure_balance(plain(np.asarray(garments.pixels)[:5])) is None


def names(patients: range, slices: int) -> list[str]:
    return [f"patient-{p:02d}/slice-{s}.png" for p in patients for s in range(slices)]


def test_origins_in_both_sets(tmp_path: Path) -> None:
    by_pattern = find_leakage(names(range(5), 3), names(range(4, 7), 2), r"patient-(\d+)")
    assert by_pattern is not None
    assert [(leak.group, leak.here, leak.there) for leak in by_pattern.leaks] == [("04", 3, 2)]
    listed = tmp_path / "groups.csv"
    listed.write_text("a.png,one\nb.png,two\nc, d.png,one\n")
    by_list = find_leakage(["a.png", "b.png"], ["c, d.png"], str(listed))
    assert by_list is not None and [leak.group for leak in by_list.leaks] == ["one"]
    guessed = find_leakage(["ann-1.png", "ann-2.png", "bob-1.png"], ["bob-2.png"])
    assert guessed is not None and [leak.group for leak in guessed.leaks] == ["bob"]
    assert find_leakage([f"img_{i}.png" for i in range(9)], ["img_9.png"]) is None


def test_groups_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two sides"):
        audit(np.zeros((3, 8, 8), np.uint8), groups="(x)")
    (tmp_path / "list").write_text("no comma here\n")
    with pytest.raises(DataError, match="line 1"):
        find_leakage(["a"], ["b"], str(tmp_path / "list"))
    for pattern in ("patient", "("):
        with pytest.raises(UsageError):
            find_leakage(["a"], ["b"], pattern)


def test_only_what_is_listed_is_kept(garments: ImageSet, tmp_path: Path) -> None:
    listed = tmp_path / "clean.txt"
    listed.write_text("4\n2\n\n# a remark\n")
    assert keep_named(garments, listed).names == ("2", "4")
    for text, why in (("2\nnobody\n", "nobody"), ("\n", "names no images")):
        listed.write_text(text)
        with pytest.raises(DataError, match=why):
            keep_named(garments, listed)
    with pytest.raises(DataError, match="not a list"):
        keep_named(garments, tmp_path / "missing")


def test_the_command_writes_a_list_that_train_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garments: ImageSet, capsys: pytest.CaptureFixture[str]
) -> None:
    from isthmus.__main__ import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    for index in range(12):
        Image.fromarray(garments.image(index % 11)[..., 0]).save(tmp_path / "p" / f"{index}.png")
    assert main(["audit", "p", "--write", "clean.txt", "--report", "a.html"]) == 0
    assert sorted((tmp_path / "clean.txt").read_text().split()) == sorted(
        f"{i}.png" for i in range(12) if i not in (11,)
    )
    assert "<html" in (tmp_path / "a.html").read_text("utf-8")
    assert "--write is now -o" in capsys.readouterr().err
    assert main(["audit", "p", "-o", "clean.txt", "--quiet"]) == 1
    words = ["--recipe", "dense", "--code", "2", "--steps", "2", "--precision", "float32", "--quiet"]
    capsys.readouterr()
    assert main(["train", "p", "--names-from", "clean.txt", *words, "--validation", "0", "--json"]) == 0
    assert '"images": 11' in capsys.readouterr().out
