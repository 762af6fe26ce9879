"""`isthmus.denoise` and `isthmus.denoise_files`: results, ranges, notes and old names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

MODEL = "denoising.safetensors"
PARITY = {
    "denoise": Parity(
        ["denoise", "photos/left", "-o", "out", "--sigma", "10"],
        lambda: isthmus.denoise_files("photos/left", out="out", sigma=10, force=True),
    ),
    "denoise, all options": Parity(
        [
            *("denoise", "photos/left", "photos/right/0.png", "-o", "out", "--sigma", "5", "--compare"),
            *("-m", "photo-denoise-gray", "--ensemble", "--range", "0,255", "--max-pixels", "1"),
            *("--workers", "1", "--force", "--strength", "0.5", "--jpeg", "off"),
        ],
        lambda: isthmus.denoise_files(
            ["photos/left", "photos/right/0.png"],
            out="out",
            sigma=5,
            model="photo-denoise-gray",
            ensemble=True,
            strength=0.5,
            jpeg="off",
            range=(0, 255),
            compare=True,
            force=True,
            workers=1,
            max_pixels=1_000_000,
        ),
    ),
}


def noisy(height: int = 40, width: int = 48, deviation: float = 12) -> np.ndarray:
    noise = np.random.default_rng(0).normal(128, deviation, (height, width))
    return noise.round().clip(0, 255).astype(np.uint8)


def test_a_path_gives_an_array_and_a_file_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noisy()).save("a.png")
    clean = isthmus.denoise("a.png", 12)
    assert clean.shape == (40, 48, 1) and clean.dtype == np.uint8
    done = isthmus.denoise_files("a.png", out="b.png")
    (entry,) = done.files
    assert (entry.name, entry.output, entry.height, entry.width) == ("a.png", "b.png", 40, 48)
    assert entry.estimated and entry.sigma == pytest.approx(12, abs=1.5)
    assert "standard deviation of about 1" in done.notes[0]
    isthmus.denoise_files("a.png", out="b.png", sigma=12, force=True)
    np.testing.assert_array_equal(np.asarray(Image.open("b.png")), clean[..., 0])
    assert "b.png" in done.table() and done.summary().startswith("1 image written to b.png")


def test_samples_of_twelve_bits_are_denoised_in_their_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deep = noisy().astype(np.uint16) * 16
    Image.fromarray(deep).save("deep.png")
    isthmus.denoise_files("deep.png", out="clean.png", sigma=12, range=(0, 4080))
    clean = np.asarray(Image.open("clean.png"))
    assert clean.dtype == np.uint16
    assert np.abs(clean / 16 - isthmus.denoise(noisy(), 12)).max() <= 0.51
    Image.fromarray(noisy().astype(np.float32) * 16).save("deep.tif")
    isthmus.denoise_files("deep.tif", out="float.png", sigma=12, range=(0, 4080))
    assert np.abs(np.asarray(Image.open("float.png")) / 65535 - clean / 4080).max() <= 1e-3


def test_what_is_not_read_of_a_file_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    page = Image.fromarray(noisy(16, 16))
    page.save("pages.tif", save_all=True, append_images=[page])
    with caplog.at_level("INFO", logger="isthmus"):
        isthmus.denoise("pages.tif", 12)
    assert "1 file with several pages or frames: only the first is read" in caplog.messages
    done = isthmus.denoise_files("pages.tif", out="a.png", sigma=12)
    assert "1 file with several pages or frames: only the first is read" in done.notes


def test_the_old_keyword_is_taken_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="thorough= is now ensemble="):
        old = isthmus.denoise(noisy(16, 16), 12, thorough=True)  # type: ignore[call-arg]
    np.testing.assert_array_equal(old, isthmus.denoise(noisy(16, 16), 12, ensemble=True))


def test_a_request_that_cannot_be_met_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ({"sigma": -1.0}, {"range": (1, 0)}, {"workers": 0}):
        with pytest.raises(UsageError):
            isthmus.denoise_files("none.png", out="x.png", **options)
