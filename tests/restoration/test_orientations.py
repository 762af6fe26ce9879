"""`ensemble`: the mean over eight orientations, of any size, and refused where it would do harm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted
from isthmus.restoration.network_pass import reconstruct

from .conftest import noisy, picture, psnr


@pytest.fixture
def turned(denoiser: Autoencoder) -> Iterator[Autoencoder]:
    """A network that is allowed to turn images, if not trained to: what is averaged differs the more."""
    before = denoiser.summary["options"]["turn"]
    denoiser.summary["options"]["turn"] = True
    yield denoiser
    denoiser.summary["options"]["turn"] = before


@pytest.mark.parametrize("size", [(64, 64), (50, 77)])
def test_it_is_the_same_for_an_image_and_for_the_image_turned(
    turned: Autoencoder, size: tuple[int, int]
) -> None:
    noisy_image = noisy(picture(*size, seed=5), 25)[..., 0]
    result = isthmus.denoise(noisy_image, 25, turned, ensemble=True)
    assert result.shape == size
    other = np.rot90(isthmus.denoise(np.rot90(noisy_image[:, ::-1]), 25, turned, ensemble=True), -1)[:, ::-1]
    inside = (slice(24, -24), slice(24, -24))  # sizes are filled up at the end, which is another side
    np.testing.assert_allclose(result[inside], other[inside], atol=1e-4)
    assert np.abs(result - isthmus.denoise(noisy_image, 25, turned)).max() > 1e-3


def test_it_restores_better(turned: Autoencoder) -> None:
    clean = picture(96, 96, seed=7)
    noisy_image = noisy(clean, 25)
    once, eight = (
        isthmus.denoise(noisy_image, 25, turned),
        isthmus.denoise(noisy_image, 25, turned, ensemble=True),
    )
    assert psnr(eight, clean) > psnr(once, clean) + 0.05


def test_what_is_known_of_pixels_turns_with_them(turned: Autoencoder) -> None:
    images = torch.rand((1, 1, 16, 24), generator=torch.Generator().manual_seed(0))
    condition = torch.zeros_like(images)
    condition[..., :8] = 0.2
    observed = Corrupted(images, images, condition=condition)
    mean = reconstruct(turned, images, observed, ensemble=True)
    flipped = Corrupted(images.flip(-1), images.flip(-1), condition=condition.flip(-1))
    again = reconstruct(turned, images.flip(-1), flipped, ensemble=True).flip(-1)
    torch.testing.assert_close(mean, again, rtol=0, atol=1e-5)


def test_a_network_that_knows_images_one_way_up_is_refused(
    denoiser: Autoencoder, inpainter: Autoencoder
) -> None:
    with pytest.raises(UsageError, match="one way up"):
        isthmus.denoise(picture(20, 20)[..., 0], 20, denoiser, ensemble=True)
    image, mask = picture(20, 20, channels=3), np.eye(20, dtype=bool)
    with pytest.raises(UsageError, match="one way up"):
        isthmus.inpaint(image, mask, inpainter, ensemble=True)


def test_holes_are_filled_and_known_pixels_kept(inpainter: Autoencoder) -> None:
    inpainter.summary["options"]["turn"] = True
    try:
        image = (picture(40, 56, channels=3, seed=3) * 255).astype(np.uint8)
        mask = np.random.default_rng(0).random((40, 56)) < 0.5
        inpainted = isthmus.inpaint(image, mask, inpainter, ensemble=True)
    finally:
        inpainter.summary["options"]["turn"] = False
    assert np.array_equal(inpainted[~mask], image[~mask])
    assert np.abs(inpainted[mask].astype(int) - image[mask]).mean() < 30
