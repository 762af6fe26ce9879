"""Inpainting: holes are filled, known pixels stay bit for bit, and bad masks get one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.errors import IsthmusError, UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.restoration import pieces as tiling

from .conftest import picture, psnr


def holes(height: int, width: int, share: float = 0.5) -> Any:
    return np.random.default_rng(3).random((height, width)) < share


@pytest.mark.parametrize("channels", [1, 3])
def test_holes_are_filled_better_than_by_the_mean(inpainter: Autoencoder, channels: int) -> None:
    clean = picture(70, 90, channels=channels, seed=5)
    mask = holes(70, 90)
    result = isthmus.inpaint(clean, mask, inpainter)
    mean = np.where(mask[..., None], clean[~mask].mean(0), clean).astype(np.float32)
    assert psnr(result, clean) > psnr(mean, clean) + 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(21, 34), (21, 34, 1), (21, 34, 2), (21, 34, 3), (21, 34, 4)])
def test_known_pixels_come_back_bit_for_bit(
    inpainter: Autoencoder, dtype: Any, shape: tuple[int, ...]
) -> None:
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = (np.random.default_rng(0).random(shape) * top).astype(dtype)
    mask = holes(21, 34)
    image.flags.writeable = False
    result = isthmus.inpaint(image, mask, inpainter)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.array_equal(result[~mask], image[~mask])
    colour = shape[2] - (shape[2] in (2, 4)) if len(shape) > 2 else 1
    before, after = image.reshape(21, 34, -1), result.reshape(21, 34, -1)
    assert (after[mask][:, :colour] != before[mask][:, :colour]).mean() > 0.9
    assert np.array_equal(after[..., colour:], before[..., colour:])


def test_what_stands_in_holes_is_not_looked_at(inpainter: Autoencoder) -> None:
    image, mask = picture(30, 30, channels=3), holes(30, 30)
    spoilt = image.copy()
    spoilt[mask] = np.nan
    assert np.array_equal(isthmus.inpaint(spoilt, mask, inpainter), isthmus.inpaint(image, mask, inpainter))


def test_tensors_with_one_mask_or_many(inpainter: Autoencoder) -> None:
    both = torch.from_numpy(np.stack([picture(20, 30, channels=3, seed=i) for i in range(2)]))
    images = both.permute(0, 3, 1, 2).contiguous()
    masks = torch.from_numpy(np.stack([holes(20, 30), holes(20, 30, 0.2)]))[:, None]
    result = isthmus.inpaint(images, masks, inpainter)
    assert torch.equal(result.where(~masks, torch.tensor(0.0)), images.where(~masks, torch.tensor(0.0)))
    for index in range(2):
        alone = isthmus.inpaint(images[index : index + 1], masks[index, 0], inpainter)
        assert torch.equal(result[index : index + 1], alone)


def test_pieces_of_an_image_with_a_large_hole_have_no_seams(
    inpainter: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(330, 390, channels=3, seed=2)
    mask = holes(330, 390, 0.3)
    mask[60:250, 80:300] = True
    inpainted = isthmus.inpaint(image, mask, inpainter)
    monkeypatch.setattr(tiling.pieces, "__kwdefaults__", {"inner": 64, "margin": 128})
    np.testing.assert_allclose(isthmus.inpaint(image, mask, inpainter), inpainted, atol=2e-4)


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        (np.zeros((20, 20)), np.ones((20, 21), bool), "20×21 and the image 20×20"),
        (np.zeros((20, 20)), np.ones((20, 20), bool), "hides the whole image"),
        (np.zeros((1, 1)), np.ones((1, 1), bool), "hides the whole image"),
        (np.full((20, 20), np.nan), np.eye(20, dtype=bool), "NaN"),
        (np.zeros((20, 20, 5)), np.eye(20, dtype=bool), "channels, not of 5"),
        (torch.zeros(2, 3, 20, 20), np.zeros((3, 20, 20), bool), "of one size"),
    ],
)
def test_what_cannot_be_filled_is_said_in_one_line(
    inpainter: Autoencoder, image: Any, mask: Any, words: str
) -> None:
    with pytest.raises(IsthmusError, match=words) as refused:
        isthmus.inpaint(image, mask, inpainter)
    assert "\n" not in str(refused.value)


def test_a_model_that_fills_no_holes_is_refused(denoiser: Autoencoder) -> None:
    with pytest.raises(UsageError, match="not trained to fill holes"):
        isthmus.inpaint(np.zeros((9, 9)), np.eye(9), denoiser)


def test_a_mask_that_hides_nothing_leaves_the_image_with_a_warning(
    inpainter: Autoencoder, caplog: pytest.LogCaptureFixture
) -> None:
    image = picture(20, 20, channels=3)
    assert np.array_equal(isthmus.inpaint(image, np.zeros((20, 20), bool), inpainter), image)
    assert "hides nothing" in caplog.text
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_mask_over_half_of_the_image_is_warned_about(
    inpainter: Autoencoder, caplog: pytest.LogCaptureFixture
) -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10] = True
    isthmus.inpaint(picture(20, 20, channels=3), mask, inpainter)
    assert "hides" not in caplog.text
    mask[10, :4] = True
    isthmus.inpaint(picture(20, 20, channels=3), mask, inpainter)
    assert "hides 51% of it" in caplog.text


def test_arrays_and_files_of_one_mask_hide_the_same(inpainter: Autoencoder, tmp_path: Path) -> None:
    image = picture(30, 40, channels=3)
    soft = np.zeros((30, 40), np.uint8)
    soft[5:9, 5:20], soft[9, 5:20], soft[20, 3] = 255, 3, 1
    Image.fromarray(soft).save(tmp_path / "mask.png")
    inpainted = isthmus.inpaint(image, soft > 0, inpainter)
    layer = np.dstack([np.zeros((30, 40, 3), np.uint8), soft])
    as_tensor = torch.from_numpy(soft)
    for mask in (soft, soft / 255, tmp_path / "mask.png", layer, as_tensor, Image.fromarray(layer)):
        assert np.array_equal(isthmus.inpaint(image, mask, inpainter), inpainted)
    changed = isthmus.inpaint(image, soft, inpainter, mask_grow=2) != image
    grown = np.zeros((30, 40), bool)
    grown[3:12, 3:22] = grown[18:23, 1:6] = True
    assert not changed[~grown].any()
    assert changed[grown].any(-1).mean() > 0.9
