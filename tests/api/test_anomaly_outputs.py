"""What `isthmus.anomalies` writes and says: folders, later runs, labels, masks, regions that do not count."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.api.anomaly_result import AnomalyResult
from isthmus.api.inspection_folder import is_inspection_folder
from isthmus.errors import DataError, ExistsError, UsageError
from isthmus.features.planted_defects import plant_defect

MODEL = "parts.safetensors"


def write_picture(path: Path, seed: int, *, defect: bool = False, size: tuple[int, int] = (32, 32)) -> None:
    random = np.random.default_rng(seed)
    gray = 0.7 + random.normal(0, 0.01, size)
    pixels = (gray.clip(0, 1) * 255).round().astype(np.uint8)[..., None]
    path.parent.mkdir(parents=True, exist_ok=True)
    if defect:
        planted, mask = plant_defect(pixels, 14, seed=seed, contrast=0.6, kind="chip")
        pixels = (planted * 255).round().astype(np.uint8)
        place = path.parent.parent / "masks" / path.name
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(place)
    Image.fromarray(pixels[..., 0]).save(path)


@pytest.fixture(scope="module")
def trained_on_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16×16 pieces of such pictures, which it paints without their defects."""
    path = tmp_path_factory.mktemp("parts") / MODEL
    pieces = 0.7 + np.random.default_rng(1).normal(0, 0.01, (60, 16, 16, 1))
    images = pieces.astype(np.float32)
    # In float32, so that every machine gets the same model.
    isthmus.train(images, recipe="dense", code="2", steps=150, precision="float32", out=path)
    return path


@pytest.fixture
def parts(trained_on_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Normal pictures, labelled new ones with masks beside them, and a model."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(trained_on_parts, here)
    for seed in range(40):
        write_picture(here / "normal" / f"{seed:02}.png", seed)
    for seed in range(6):
        write_picture(here / "new" / "good" / f"{seed}.png", 100 + seed)
        write_picture(here / "new" / "chipped" / f"{seed}.png", 200 + seed, defect=True)
    (here / "new" / "masks").rename(here / "masks")
    return here


def inspect(data: Any = "new", **options: Any) -> AnomalyResult:
    options = {"normal": "normal", "score": "reconstruction", "tiles": True, "false_alarms": 0.1, **options}
    return isthmus.anomalies(MODEL, data, **options)


@pytest.mark.usefixtures("parts")
def test_labels_and_masks_are_compared_with_what_was_found() -> None:
    result = inspect(masks="masks")
    assert result.labels is not None and result.masks is not None
    assert result.labels.good_classes == ("good",)
    assert (result.labels.good, result.labels.defective, result.masks.regions) == (6, 6, 6)
    assert result.labels.auroc > 0.9 and result.masks.pixel_auroc > 0.8 and 0 < result.masks.pro <= 1
    assert "AUROC" in result.summary() and "PRO" in result.summary()
    assert result.to_dict()["labels"]["found"] == result.labels.found
    assert inspect("new/good").labels is None


@pytest.mark.usefixtures("parts")
def test_pictures_of_a_result_have_maps_masks_and_boxes() -> None:
    result = inspect()
    row = result.worst(1)[0]
    worst = result[row]
    assert worst.flagged and worst.verdict == "flagged" and len(result) == 12
    assert worst.heat.shape == worst.mask.shape == (32, 32)
    assert worst.heat.max() == pytest.approx(worst.score, rel=1e-4)
    top, left, height, width = worst.boxes[0]
    assert worst.mask[top : top + height, left : left + width].any()
    with Image.open(Path("masks", Path(worst.name).name)) as truth:
        assert (np.asarray(truth) > 0)[worst.mask].mean() > 0.3
    normal = result[int(result.scores.argmin())]
    assert not normal.flagged and normal.boxes == () and not normal.mask.any()
    assert [image_file.name for image_file in result] == list(result.names)
    with pytest.raises(IndexError):
        result[12]


@pytest.mark.usefixtures("parts")
def test_a_folder_holds_overlays_masks_table_and_page(tmp_path: Path) -> None:
    result = inspect()
    result.save("night")
    rows = list(csv.DictReader(Path("night/scores.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(result.names)
    assert set(rows[0]) == {"name", "score", "chance", "verdict", "boxes"}
    for row, entry in zip(rows, result, strict=True):
        assert row["verdict"] == entry.verdict and bool(row["boxes"]) == entry.flagged
        with Image.open(Path("night/overlays", row["name"])) as overlay:
            assert overlay.width > 2 * 32
        with Image.open(Path("night/masks", row["name"])) as mask:
            np.testing.assert_array_equal(np.asarray(mask) > 0, entry.mask)
    page = Path("night/report.html").read_text()
    assert "Borderline" in page and "finds" in page and result.names[0] in page
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("mine")
    with pytest.raises(ExistsError):
        result.save(tmp_path / "other")


@pytest.mark.usefixtures("parts")
def test_later_runs_take_new_files_only_and_append(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["anomalies", MODEL, "new/good", "--score", "reconstruction", "--tiles", "--false-alarms", "0.1"]
    assert main([*words, "--normal", "normal", "--store", "-o", "night", "--quiet"]) == 0
    assert is_inspection_folder("night")
    first = Path("night/scores.csv").read_text()
    write_picture(Path("new/good/new.png"), 300)
    write_picture(Path("new/good/0.png"), 301)  # another picture of the same name
    capsys.readouterr()
    assert main(["anomalies", MODEL, "new/good", "-o", "night", "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(picture["name"] for picture in document["pictures"]) == ["0.png", "new.png"]
    assert document["known_images"] == 5 and document["reference"] == "model"
    after = Path("night/scores.csv").read_text()
    assert len(after.splitlines()) == len(first.splitlines()) + 1
    again = isthmus.anomalies(MODEL, "new/good", append="night")
    assert again.images == 0 and again.known_images == 7
    again.save("night")
    assert Path("night/scores.csv").read_text() == after
    # A broken file that arrives alone is skipped, as it is among others.
    Path("new/good/broken.png").write_bytes(b"not a picture")
    assert main(["anomalies", MODEL, "new/good", "-o", "night", "--quiet"]) == 3
    assert Path("night/scores.csv").read_text() == after
    Path("new/good/broken.png").unlink()
    # Another threshold judges all files anew.
    assert isthmus.anomalies(MODEL, "new/good", append="night", false_alarms=0.5).images == 7
    Path("night/inspected.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        isthmus.anomalies(MODEL, "new/good", append="night")


@pytest.mark.usefixtures("parts")
def test_the_exit_code_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--normal",
        "normal",
        "--score",
        "reconstruction",
        "--tiles",
        "--false-alarms",
        "0.1",
        "--quiet",
    ]
    assert main(["anomalies", MODEL, "new/chipped", *words]) == 0
    assert main(["anomalies", MODEL, "new/chipped", *words, "--fail-on-flagged"]) == 4
    Path("new/chipped/broken.png").write_bytes(b"nothing")
    assert main(["anomalies", MODEL, "new/chipped", *words, "--fail-on-flagged"]) == 3
    assert "broken.png" in capsys.readouterr().err


@pytest.mark.usefixtures("parts")
def test_regions_that_do_not_count_are_not_marked() -> None:
    for name in Path("new/chipped").iterdir():
        with Image.open(Path("masks", name.name)) as mask:
            place = Path("ignored", "chipped", name.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            grown = np.asarray(mask) > 0
            rows, columns = np.nonzero(grown)
            grown[max(0, rows.min() - 6) : rows.max() + 7, max(0, columns.min() - 6) : columns.max() + 7] = (
                True
            )
            Image.fromarray(grown.astype(np.uint8) * 255).save(place)
    plain, without = inspect(), inspect(ignore_mask="ignored")
    is_chipped = np.array([name.startswith("chipped") for name in plain.names])
    assert without.scores[is_chipped].mean() < plain.scores[is_chipped].mean() / 2
    np.testing.assert_allclose(without.scores[~is_chipped], plain.scores[~is_chipped], rtol=1e-6)


@pytest.mark.usefixtures("parts")
def test_pictures_of_one_part_are_kept_together_by_groups() -> None:
    for seed in range(10):
        with Image.open(f"normal/{seed:02}.png") as image_file:
            noisy = np.asarray(image_file).astype(int)
            noisy[0, 0] += 1
            Image.fromarray(noisy.astype(np.uint8)).save(f"normal/{seed:02}b.png")
    assert any("nearly copies" in note for note in inspect().notes)
    assert not any("nearly copies" in note for note in inspect(groups=r"(\d+)b?\.png").notes)
    with pytest.raises(DataError, match="matches none of 50 names"):
        inspect(groups=r"(part\d+)")
    with pytest.raises(UsageError, match="parentheses"):
        inspect(groups=r"\d+")


@pytest.mark.usefixtures("parts")
def test_pictures_unlike_the_normal_ones_are_noted() -> None:
    for seed in range(4):
        write_picture(Path("large", f"{seed}.png"), seed, size=(96, 96))
    assert any("size" in note for note in inspect("large").notes if "not reliable" in note)
    assert not any("not reliable" in note for note in inspect("new/good").notes)


@pytest.mark.usefixtures("parts")
def test_calibration_uses_pictures_that_the_network_did_not_see() -> None:
    model = isthmus.train("normal", recipe="dense", code="4", steps=5, validation=0.4)
    result = isthmus.anomalies(model, "new/good", score="density")
    assert result.reference == "training"
    assert (result.normal_images, result.held_out_images) == (24, 16)
    given = isthmus.anomalies(model, "new/good", normal="normal", score="density")
    assert (given.normal_images, given.held_out_images) == (24, 16)
    np.testing.assert_allclose(given.scores, result.scores)
    few = isthmus.train("normal", recipe="dense", code="4", steps=5, validation=0.1)
    noted = isthmus.anomalies(few, "new/good", score="density")
    assert any("all but 4" in note for note in noted.notes) and noted.held_out_images == 40


def test_info_shows_the_stored_detector(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect(store=True, false_alarms=0.001)
    capsys.readouterr()
    assert main(["info", str(parts / MODEL)]) == 0
    shown = capsys.readouterr().out
    assert "reconstruction" in shown and "threshold" in shown and "finds" in shown
    # 40 pictures were held out: the rate is the one that the threshold has, not the smaller one requested.
    assert "at 0.0244 false alarms" in shown and "1 false alarm in 41" in shown


@pytest.mark.usefixtures("parts")
def test_a_stored_detector_of_levels_scores_as_it_did() -> None:
    first = inspect(score="levels", tiles=None, store=True)
    again = isthmus.anomalies(MODEL, "new")
    assert again.score == "levels" and again.reference == "model"
    np.testing.assert_allclose(again.scores, first.scores, rtol=1e-4)
    assert first.labels is not None and first.labels.auroc == 1.0
