"""`isthmus denoise`, `inpaint` and `models` as a user meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import isthmus
from isthmus import pretrained
from isthmus.__main__ import main

Document = Callable[..., dict[str, Any]]
THIN = ("backbone.width=6-8", "backbone.blocks=1", "code=8@4", "optimiser.batch=4")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a thin gray denoiser and a thin colour inpainter."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    for recipe, channels in (("denoising", 1), ("inpainting", 3)):
        images = random.integers(0, 256, (8, 16, 16, channels)).astype(np.uint8)
        out = folder / f"{recipe}.safetensors"
        isthmus.train(
            images, recipe=recipe, settings=THIN, steps=2, precision="float32", validation=0, out=out
        )
    return folder


@pytest.fixture
def here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import shutil

    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(height: int = 40, width: int = 50, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


DENOISE = ("--model", "denoising.safetensors", "--sigma", "20")
INPAINT = ("--model", "inpainting.safetensors")


def test_a_folder_is_denoised_once_with_sub_folders_and_broken_files_named(
    here: Path, document: Document
) -> None:
    (here / "scans" / "old").mkdir(parents=True)
    Image.fromarray(pixels(channels=1)).save(here / "scans" / "a.png")
    Image.fromarray(pixels()).save(here / "scans" / "old" / "b.jpg")
    (here / "scans" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    result = document("denoise", "scans", "-o", "clean", *DENOISE, code=3)
    assert [file["name"] for file in result["files"]] == ["a.png", "old/b.jpg"]
    assert [file["name"] for file in result["skipped"]] == ["broken.png"]
    assert (here / "clean" / "a.png").exists()
    assert opened(here / "clean" / "old" / "b.png").size == (50, 40)
    again = document("denoise", "scans", "-o", "clean", *DENOISE, code=3)
    assert again["files"] == []
    assert again["already_there"] == 2


def test_the_level_is_estimated_and_said(
    here: Path, document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(128, 12, (128, 128)).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).save(here / "n.png")
    result = document("denoise", "n.png", "-o", "c.png", "--model", "denoising.safetensors")
    assert result["files"][0]["estimated"]
    assert result["files"][0]["sigma"] == pytest.approx(12, abs=1)
    assert main(["denoise", "n.png", "-o", "d.png", "--model", "denoising.safetensors"]) == 0
    assert "standard deviation of about 1" in capsys.readouterr().err


def test_alpha_bits_and_metadata_are_kept(here: Path, document: Document) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.fromarray(pixels(channels=4)).save(here / "t.png", exif=exif, icc_profile=profile)
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    Image.fromarray(deep).save(here / "deep.png")
    document("denoise", "t.png", "deep.png", "-o", "out", *DENOISE)
    after = opened(here / "out" / "t.png")
    assert np.array_equal(np.asarray(after)[..., 3], pixels(channels=4)[..., 3])
    assert after.info["icc_profile"] == profile
    assert after.getexif()[0x010F] == "a camera"
    assert opened(here / "out" / "deep.png").mode == "I;16"


def test_one_file_is_not_overwritten_without_force_and_compare_shows_both(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(pixels()).save(here / "a.png")
    assert main(["denoise", "a.png", "-o", "b.png", *DENOISE, "--compare", "--scale", "1"]) == 0
    both = np.asarray(opened(here / "b-compare.png"))
    assert np.array_equal(both[:, :50], pixels())
    assert np.array_equal(both[:, -50:], np.asarray(opened(here / "b.png")))
    assert main(["denoise", "a.png", "-o", "b.png", *DENOISE]) == 1
    assert "b.png exists" in capsys.readouterr().err
    assert main(["denoise", "a.png", "-o", "b.png", *DENOISE, "--force"]) == 0


def inpainted(filled: np.ndarray, given: np.ndarray, mask: np.ndarray) -> None:
    assert np.array_equal(filled[~mask], given[~mask])
    assert (filled[mask] != given[mask]).any()


def test_four_ways_to_say_what_is_missing(here: Path, document: Document) -> None:
    mask = np.random.default_rng(1).random((40, 50)) < 0.3
    image = pixels()
    Image.fromarray(mask).save(here / "mask.png")
    Image.fromarray(image).save(here / "a.png")
    painted = image.copy()
    painted[mask] = (255, 0, 255)
    Image.fromarray(painted).save(here / "painted.png")
    Image.fromarray(np.dstack([image, (~mask * 255).astype(np.uint8)])).save(here / "cut.png")
    flat = np.full((40, 50, 3), 90, np.uint8)
    flat[20, 30] = 255
    Image.fromarray(flat).save(here / "dead.png")
    ways = {
        "a.png": (["--mask", "mask.png"], image, mask),
        "painted.png": (["--mask-colour", "#ff00ff"], painted, mask),
        "cut.png": (["--mask-alpha"], image, mask),
        "dead.png": (["--find", "dead-pixels"], flat, (flat == 255).all(-1)),
    }
    for name, (words, given, missing) in ways.items():
        result = document("inpaint", name, *words, "-o", f"whole-{name}", *INPAINT)
        assert result["files"][0]["missing"] == pytest.approx(missing.mean())
        inpainted(np.asarray(opened(here / f"whole-{name}")), given, missing)


def test_a_folder_of_masks_is_matched_by_name(here: Path, document: Document) -> None:
    for folder in ("photos", "masks"):
        (here / folder).mkdir()
    for index in range(2):
        mask = np.random.default_rng(index).random((40, 50)) < 0.3
        Image.fromarray(pixels(seed=index)).save(here / "photos" / f"{index}.jpg")
        Image.fromarray(mask).save(here / "masks" / f"{index}.png")
    result = document("inpaint", "photos", "--mask", "masks", "-o", "whole", *INPAINT)
    shares = [np.asarray(opened(here / "masks" / f"{i}.png")).mean() for i in range(2)]
    assert [file["missing"] for file in result["files"]] == pytest.approx(shares)


def test_an_image_without_dead_pixels_is_written_as_it_is(here: Path, document: Document) -> None:
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(here / "a.png")
    result = document("inpaint", "a.png", "--find", "dead-pixels", "-o", "b.png", *INPAINT)
    assert result["files"][0]["missing"] == 0
    assert np.array_equal(np.asarray(opened(here / "a.png")), np.asarray(opened(here / "b.png")))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["inpaint", "a.png", "-o", "b.png"], 2, "exactly one way"),
        (["inpaint", "a.png", "-o", "b.png", "--mask-alpha", "--find", "dead-pixels"], 2, "exactly one way"),
        (["inpaint", "a.png", "-o", "b.png", "--mask-colour", "mauve"], 2, "not a colour"),
        (["inpaint", "a.png", "-o", "b.png", "--mask", "none.png", *INPAINT], 1, "no such file"),
        (["inpaint", "a.png", "-o", "b.png", "--mask", "small.png", *INPAINT], 1, "must be of one size"),
        (["inpaint", "a.png", "-o", "b.png", "--mask-alpha", *INPAINT], 1, "no transparency"),
        (["inpaint", "a.png", "-o", "b.png", "--mask", "small.png", *DENOISE[:2]], 2, "not trained to fill"),
        (["denoise", "a.png", "-o", "b.png", "--sigma", "-3", *DENOISE[:2]], 2, "sigma=-3"),
        (["denoise", "a.png", "-o", "b.txt", *DENOISE], 1, "name must end with one of"),
        (["denoise", "a.png", "small.png", "-o", "b.png", *DENOISE], 1, "names one file"),
        (["denoise", "a.png", "-o", "b.png", "--model", "photo-denoize"], 2, "isthmus models"),
        (["denoise", "denoising.safetensors", "-o", "b.png"], 2, "is a model file"),
        (["denoise", "tiny.png", "-o", "b.png", *DENOISE[:2]], 1, "too small to estimate"),
        (["models", "photo-denoize"], 2, "no shipped model is called"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    here: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(pixels()).save(here / "a.png")
    Image.fromarray(pixels(9, 9, 1)).save(here / "small.png")
    Image.fromarray(pixels(1, 1, 1)).save(here / "tiny.png")
    (here / "b.txt").touch()
    assert main(words) == code
    assert said in capsys.readouterr().err
    assert not (here / "b.png").exists()


def test_every_shipped_model_has_a_card_and_is_small(document: Document) -> None:
    result = document("models")["models"]
    assert [row["name"] for row in result] == pretrained.names()
    for row in result:
        assert row["bytes"] < 6_000_000
        for key in ("good_for", "data", "licences", "command", "seed", "hours", "results"):
            assert row[key] is not None, (row["name"], key)
        assert isthmus.load(pretrained.path(row["name"])).summary["steps"] > 0


def test_one_card_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    for name in pretrained.names():
        assert main(["models", name]) == 0
        assert "isthmus train" in capsys.readouterr().out
