"""Restoration gives back the kind, the sample type and the range that it was given."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.errors import DataError

from .conftest import noisy, picture

PIXELS = (noisy(picture(40, 44, channels=3), 20).clip(0, 1) * 255).round().astype(np.uint8)
CLEAR = np.dstack([PIXELS, np.arange(40 * 44).reshape(40, 44).astype(np.uint8)])
MASK = np.zeros((40, 44), bool)
MASK[10:16, 20:30] = True
# Half a level of rounding, and what a network in bfloat16 makes of an input rounded to 11 bits.
HALF_PRECISION_LEVELS = 1.2


def restored(use: str, image: Any, **options: Any) -> Any:
    return (
        isthmus.denoise(image, 20, **options) if use == "denoise" else isthmus.inpaint(image, MASK, **options)
    )


@pytest.fixture(scope="module", params=["denoise", "inpaint"])
def use(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def expected(use: str) -> np.ndarray:
    return np.asarray(restored(use, PIXELS))


def test_a_path_bytes_or_a_file_give_numpy(use: str, expected: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(PIXELS).save(path)
    for given in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        result = restored(use, given)
        assert isinstance(result, np.ndarray) and np.array_equal(result, expected)
    assert np.array_equal(restored(use, PIXELS[::-1])[::-1].shape, expected.shape)


def test_pillow_gives_pillow_with_its_alpha(use: str, expected: np.ndarray) -> None:
    result = restored(use, Image.fromarray(PIXELS))
    assert isinstance(result, Image.Image) and np.array_equal(np.asarray(result), expected)
    clear = restored(use, Image.fromarray(CLEAR))
    assert isinstance(clear, Image.Image) and clear.mode == "RGBA"
    assert np.array_equal(np.asarray(clear), np.dstack([expected, CLEAR[..., 3]]))


@pytest.mark.parametrize("dtype", [">f2", "<f4", ">f8", "longdouble"])
def test_floats_of_every_type(use: str, expected: np.ndarray, dtype: str) -> None:
    result = restored(use, (PIXELS / 255).astype(dtype))
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_allclose(result.astype(float) * 255, expected, atol=HALF_PRECISION_LEVELS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8])
def test_tensors_come_back_without_their_gradient(use: str, expected: np.ndarray, dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(CLEAR).permute(2, 0, 1)[None]
    tensor = tensor if dtype == torch.uint8 else (tensor / 255).to(dtype).requires_grad_()
    result = restored(use, tensor)
    assert result.dtype == dtype and not result.requires_grad and result.device == tensor.device
    assert torch.equal(result[:, 3], tensor[:, 3].detach())
    scale = 1 if dtype == torch.uint8 else 255
    atol = {torch.uint8: 0.0, torch.bfloat16: 3.0}.get(dtype, HALF_PRECISION_LEVELS)
    np.testing.assert_allclose(result[0, :3].permute(1, 2, 0).float() * scale, expected, atol=atol)


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        (PIXELS.astype(np.float32), 0, 255),
        (PIXELS / 127.5 - 1, -1, 1),
        (PIXELS.astype(np.int32) * 16, 0, 4080),
        (PIXELS.astype(">u2") * 16, 0, 4080),
    ],
)
def test_a_range_is_mapped_there_and_back(
    use: str, expected: np.ndarray, given: np.ndarray, low: float, high: float
) -> None:
    if given.dtype.kind != "u" and given.max() > 8:
        with pytest.raises(DataError) as caught:
            restored(use, given)
        assert "range=(" in str(caught.value.hint)
    result = restored(use, given, range=(low, high))
    assert result.dtype == given.dtype
    np.testing.assert_allclose((result.astype(float) - low) / (high - low) * 255, expected, atol=0.6)
    if use == "inpaint":
        assert np.array_equal(result[~MASK], given[~MASK])


def test_noise_may_reach_beyond_black_and_white(use: str) -> None:
    wild = noisy(picture(40, 44, channels=1), 200)
    assert wild.min() < 0 and wild.max() > 1
    assert np.isfinite(restored(use, wild)).all()
    for value in (-7.1, 8.1, np.nan, np.inf):
        wild[0, 0] = value
        with pytest.raises(DataError, match=r"\[-7, 8\]|hold (NaN|infinity)"):
            restored(use, wild)


def test_missing_pixels_are_not_looked_at() -> None:
    given = PIXELS.astype(np.float64)
    for hidden in (np.nan, 1e9):
        given[MASK] = hidden
        result = isthmus.inpaint(given, MASK, range=(0, 255))
        np.testing.assert_allclose(result, isthmus.inpaint(PIXELS, MASK), atol=0.6)
    tensor = torch.from_numpy(given / 255).permute(2, 0, 1)[None]
    filled = isthmus.inpaint(tensor, MASK)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(filled * 255, isthmus.inpaint(PIXELS, MASK), atol=0.6)


def test_a_mask_may_be_a_file_or_a_pillow_image(tmp_path: Path) -> None:
    drawn = Image.fromarray(MASK.astype(np.uint8) * 255)
    drawn.save(tmp_path / "mask.png")
    for mask in (tmp_path / "mask.png", drawn, drawn.convert("1")):
        assert np.array_equal(isthmus.inpaint(PIXELS, mask), isthmus.inpaint(PIXELS, MASK))


def test_one_image_of_a_set(use: str, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.stack([PIXELS, PIXELS[::-1]]))
    result = restored(use, f"{tmp_path}/t.npy[1]")
    assert np.array_equal(result, restored(use, PIXELS[::-1]))
    with pytest.raises(DataError, match="one image"):
        restored(use, tmp_path / "t.npy")
