"""`photo-dejpeg`: when it is chosen, that it gains, and what contradicts it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import isthmus
from isthmus.errors import UsageError
from isthmus.images.sources import estimate_jpeg_quality
from isthmus.restoration.denoising import denoise_image
from isthmus.restoration.noise_choice import DEJPEG

COLOUR = np.ascontiguousarray(data.astronaut()[60:252, 100:292])
GRAY = np.ascontiguousarray(data.camera()[60:252, 100:292])


def save(image: np.ndarray, quality: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def psnr(image: Any, clean: np.ndarray) -> float:
    error = np.asarray(image, float).reshape(clean.shape) - clean
    return float(10 * np.log10(255**2 / np.square(error).mean()))


def note_ids(caplog: pytest.LogCaptureFixture) -> dict[str, dict[str, object]]:
    notes: list[Any] = [item.args[0] for item in caplog.records if isinstance(item.args, tuple) and item.args]
    return {note.id: note.fields for note in notes if hasattr(note, "id")}


@pytest.mark.parametrize("clean", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("quality", [10, 20, 40])
def test_blocks_go(clean: np.ndarray, quality: int) -> None:
    for options in ({}, {"subsampling": 0}) if clean.ndim == 3 else ({},):
        coded = decode(save(clean, quality, **options))
        assert psnr(isthmus.denoise(coded, jpeg="on"), clean) > psnr(coded, clean) + 0.2


def test_a_jpeg_file_is_recognised_as_path_bytes_stream_and_pillow_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = save(COLOUR, 30)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    expected = isthmus.denoise(decode(content), jpeg="on")
    assert psnr(expected, COLOUR) > psnr(decode(content), COLOUR)
    for given in (path, str(path), content, io.BytesIO(content), Image.open(path)):
        caplog.clear()
        with caplog.at_level("INFO", "isthmus"):
            result = isthmus.denoise(given)
        assert note_ids(caplog)["denoise.model"]["model"] == DEJPEG
        np.testing.assert_array_equal(np.asarray(result), expected)


def test_files_say_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(size=COLOUR.shape)
    noisy = (COLOUR + 25 * noise).round().clip(0, 255).astype(np.uint8)
    Path("in").mkdir()
    Path("in/clean.jpg").write_bytes(save(COLOUR, 40))
    Path("in/noisy.jpg").write_bytes(save(noisy, 85))
    Image.fromarray(noisy).save("in/noisy.png")
    models = {file.name: file.model for file in isthmus.denoise_files("in", out="auto").files}
    assert models["clean.jpg"] == DEJPEG
    assert DEJPEG not in (models["noisy.jpg"], models["noisy.png"])
    off = isthmus.denoise_files("in/clean.jpg", out="off.png", jpeg="off").files[0]
    on = isthmus.denoise_files("in/noisy.png", out="on.png", jpeg="on").files[0]
    assert off.model != DEJPEG and on.model == DEJPEG and not on.estimated


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 96])
def test_the_quality_is_read_from_the_tables(quality: int) -> None:
    for clean in (GRAY, COLOUR):
        result = estimate_jpeg_quality(save(clean, quality))
        assert result == pytest.approx(quality, abs=2)
    assert estimate_jpeg_quality(decode(save(COLOUR, quality))) is None


def test_a_clean_file_of_high_quality_is_left_nearly_as_it_is() -> None:
    for clean in (GRAY, COLOUR):
        coded = save(clean, 95)
        assert psnr(isthmus.denoise(coded), clean) > psnr(decode(coded), clean) - 0.3


def test_equal_channels_stay_equal_and_alpha_is_kept() -> None:
    gray = decode(save(GRAY, 20))
    colour = np.repeat(gray[..., None], 3, 2)
    result = isthmus.denoise(colour, jpeg="on")
    assert (result == result[..., :1]).all()
    assert np.array_equal(result[..., 0], isthmus.denoise(gray, jpeg="on"))
    alpha = np.arange(192, dtype=np.uint8)[:, None].repeat(192, 1)
    clear = isthmus.denoise(np.dstack([colour, alpha]), jpeg="on")
    assert np.array_equal(clear[..., 3], alpha)


def test_strength_and_contradictions() -> None:
    coded = decode(save(COLOUR, 20))
    assert np.array_equal(isthmus.denoise(coded, jpeg="on", strength=0), coded)
    for options in ({"sigma": 10}, {"model": "photo-denoise-real"}):
        with pytest.raises(UsageError, match="contradicts"):
            isthmus.denoise(coded, jpeg="on", **options)
    with pytest.raises(UsageError, match="auto, on or off"):
        isthmus.denoise(coded, jpeg="maybe")  # type: ignore[arg-type]
    _, (plan,) = denoise_image(coded, 10, jpeg=True)
    assert plan.model != DEJPEG  # a level was asked for
