"""New labelled images look like their class; copies and strange ones are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import DataError, UsageError
from isthmus.generation.augmentation import METHODS, Filter
from isthmus.generation.distortion import DISTORTIONS, distort
from isthmus.images.conform import joined
from isthmus.images.store import ImageSet

from .models import discs, fresh


def left_share(pixels: np.ndarray) -> np.ndarray:
    light = pixels.astype(float).sum((1, 3))
    share: np.ndarray = light[:, :6].sum(1) / light.sum(1)
    return share


@pytest.mark.parametrize("method", METHODS)
def test_new_images_are_of_the_class_they_are_labelled_with(method: str) -> None:
    model, images = fresh(), discs(60)
    how: dict[str, Any] = {"distortions": ["shift"]} if method == "distortions" else {}
    augmented = isthmus.augment(model, images, 30, methods=[method], seed=1, **how)
    made = augmented.images
    assert made.labels is not None
    assert made.classes == ("left", "right")
    assert (made.labels == 0).sum() == (made.labels == 1).sum() == 15
    share = left_share(np.asarray(made.pixels))
    assert (share[made.labels == 0] > 0.5).mean() > 0.9
    assert (share[made.labels == 1] < 0.5).mean() > 0.9
    assert not np.isin(made.hashes(), images.hashes()).all()
    again = isthmus.augment(model, images, 30, methods=[method], seed=1, **how)
    assert np.array_equal(np.asarray(again.images.pixels), np.asarray(made.pixels))


def test_a_small_class_is_filled_up() -> None:
    images = discs(60)
    assert images.labels is not None
    few = images.subset([*np.flatnonzero(images.labels == 0), *np.flatnonzero(images.labels == 1)[:5]])
    augmented = isthmus.augment(fresh(), few, balance=True)
    both = joined((few, augmented.images), source="both")
    assert both.labels is not None
    assert (both.labels == 0).sum() == (both.labels == 1).sum() == 30


def test_a_class_with_a_single_image_is_filled_up_by_moves_and_distortions() -> None:
    images = discs(60)
    assert images.labels is not None
    few = images.subset([*np.flatnonzero(images.labels == 0)[:8], 1])
    augmented = isthmus.augment(fresh(), few, balance=True, methods=["moves", "distortions"], filtered=False)
    assert augmented.wanted == len(augmented.images) == 7
    assert (left_share(np.asarray(augmented.images.pixels)) < 0.5).mean() > 0.6


def test_the_filter_finds_copies_strange_images_and_the_wrong_class() -> None:
    model, images = fresh(), discs(120)
    judge = Filter(model, images)
    real = torch.from_numpy(np.asarray(images.pixels)).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(np.asarray(images.labels))
    assert bool(judge(real, labels).copied.all())
    noise = torch.rand(20, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert bool(judge(noise, None).strange.all())
    new = torch.from_numpy(np.asarray(discs(40, seed=5).pixels)).permute(0, 3, 1, 2).float() / 255
    right = torch.arange(40) % 2
    assert float(judge(new, right).passed.double().mean()) > 0.7
    assert float(judge(new, 1 - right).foreign.double().mean()) > 0.9


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_distortions_change_images_and_keep_their_range(kind: str) -> None:
    images = torch.rand(40, 3, 9, 14, generator=torch.Generator().manual_seed(2))
    distorted = distort(images, [kind], torch.Generator().manual_seed(0))
    assert distorted.shape == images.shape
    assert 0 <= float(distorted.min()) <= float(distorted.max()) <= 1
    assert float((distorted != images).flatten(1).any(1).double().mean()) > 0.4
    assert torch.equal(distorted, distort(images, [kind], torch.Generator().manual_seed(0)))


def test_flips_and_shifts_move_pixels_without_blurring_them() -> None:
    images = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    flipped = distort(images, ["flip"], torch.Generator().manual_seed(0))
    for flipped_image, before in zip(flipped, images, strict=True):
        same = torch.allclose(flipped_image, before, atol=1e-5)
        assert same or torch.allclose(flipped_image, before.flip(-1), atol=1e-5)
    shifted = distort(images, ["shift"], torch.Generator().manual_seed(0))
    inner = shifted[:, :, 1:-1, 1:-1].flatten(1)
    assert all(
        bool((value - image).abs().min() < 1e-5) for value, image in zip(inner[:, 0], images, strict=True)
    )


def test_what_cannot_be_augmented_is_said() -> None:
    model, images = fresh(), discs(20)
    with pytest.raises(UsageError, match="method 'mixpu' is not known; did you mean 'mixup'"):
        isthmus.augment(model, images, 4, methods=["mixpu"])
    with pytest.raises(UsageError, match="either a count or balance"):
        isthmus.augment(model, images)
    with pytest.raises(DataError, match="no labels"):
        isthmus.augment(model, ImageSet(images.pixels, images.names), 4)
    with pytest.raises(DataError, match="class 'right' has a single image, and mixup") as caught:
        isthmus.augment(model, images.subset([0, 2, 4, 1]), 4)
    assert str(caught.value.hint) == "add methods='moves,distortions'"
    with pytest.raises(DataError, match="same number of images already"):
        isthmus.augment(model, images, balance=True)
    with pytest.raises(UsageError, match="distortion 'blur'"):
        isthmus.augment(model, images, 4, methods=["distortions"], distortions=["blur"])


def test_a_rare_class_is_not_outvoted_by_a_frequent_one() -> None:
    model, images = fresh(), discs(120)
    assert images.labels is not None
    rare = np.flatnonzero(images.labels == 0)[:3]
    few = images.subset(np.concatenate([rare, np.flatnonzero(images.labels == 1)]))
    judge = Filter(model, few)
    again = torch.from_numpy(few.stack(range(3)).astype(np.float32) / 255).permute(0, 3, 1, 2)
    assert not judge(again, torch.zeros(3, dtype=torch.int64)).foreign.any()
    assert judge(again, torch.ones(3, dtype=torch.int64)).foreign.all()


def test_no_images_are_distorted_to_no_images() -> None:
    none = torch.zeros(0, 1, 8, 8)
    assert distort(none, DISTORTIONS, torch.Generator()).shape == none.shape


def test_samples_come_from_a_prior_that_knows_the_classes() -> None:
    model = fresh()
    few = discs(6)
    without = isthmus.augment(model, few, 20, methods=["samples"], filtered=False).pixels
    isthmus.fit_prior(model, discs(240), kind="mixture", components=6)
    augmented = isthmus.augment(model, few, 40, methods=["samples"], filtered=False)
    assert not np.array_equal(augmented.pixels[:10], without[:10])
    share = left_share(np.asarray(augmented.pixels))
    assert (share[augmented.labels == 0] > 0.5).mean() > 0.9
    assert (share[augmented.labels == 1] < 0.5).mean() > 0.9
