"""The training stream: exact, seekable, fair; and the ordered pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import DataError, UsageError
from isthmus.images.batches import Batches, iter_batches
from isthmus.images.store import ImageSet

from .files import photo
from .test_store import named, ragged

SIZES = st.integers(1, 30)


def numbered(count: int) -> ImageSet:
    """Image i is filled with i / 65535."""
    return named(np.arange(count, dtype=np.uint16).reshape(-1, 1, 1, 1) * np.ones((1, 2, 3, 1), np.uint16))


def contents(images: torch.Tensor) -> list[int]:
    return [round(v * 65535) for v in images[:, 0, 0, 0].tolist()]


@given(SIZES, SIZES, st.integers(0, 5))
def test_every_epoch_holds_every_image_once(count: int, batch: int, seed: int) -> None:
    batches = Batches(numbered(count), batch=batch, seed=seed)
    if batch >= count:
        assert all(contents(batches(step).images) == list(range(count)) for step in (0, 1, 7))
        return
    stream = [i for step in range(2 * count) for i in contents(batches(step).images)]
    epochs = [stream[start : start + count] for start in range(0, len(stream) - count + 1, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    if count > 10:
        assert epochs[0] != epochs[1]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_any_step_in_any_order_is_the_same(steps: list[int], balance: bool, crop: bool) -> None:
    pixels = np.stack([photo(6, 7, seed=i) for i in range(11)])
    images = ImageSet(pixels, tuple("abcdefghijk"), np.arange(11) % 3)
    options = {"batch": 4, "seed": 5, "balance": balance, "crop": (3, 4) if crop else None}
    running = Batches(images, **options)  # type: ignore[arg-type]
    for step in steps:
        fresh = Batches(images, **options)(step)  # type: ignore[arg-type]
        here = running(step)
        assert torch.equal(here.images, fresh.images)
        assert np.array_equal(here.indices, fresh.indices)
        assert here.labels is not None
        assert here.labels.tolist() == [i % 3 for i in here.indices]


def test_the_stream_is_the_same_in_every_version() -> None:
    batches = Batches(numbered(7), batch=3, seed=1)
    assert [batches.indices(step).tolist() for step in range(3)] == [[0, 5, 4], [1, 2, 6], [3, 2, 6]]


def test_seeds_give_other_streams() -> None:
    streams = {tuple(Batches(numbered(50), batch=20, seed=seed).indices(0)) for seed in (0, 1, 2, -1, 2**70)}
    assert len(streams) == 5 - (2**70 % 2**64 == 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_layout_and_range(dtype: type[np.integer[Any] | np.floating[Any]], channels: int) -> None:
    top = 1 if issubclass(dtype, np.floating) else np.iinfo(dtype).max
    values = np.linspace(0, top, 5 * 4 * 6 * channels).astype(dtype).reshape(5, 4, 6, channels)
    batch = Batches(named(values), batch=3, seed=0)(0)
    assert batch.images.shape == (3, channels, 4, 6)
    assert batch.images.dtype == torch.float32
    assert batch.images.stride() == (24 * channels, 1, 6 * channels, channels)
    expected = (values[batch.indices].astype(np.float64) / top).transpose(0, 3, 1, 2)
    assert np.abs(batch.images.numpy() - expected).max() < 1e-6
    full = Batches(named(values), batch=9, seed=0)(0).images
    assert full.max() == 1
    assert full.min() == 0


def test_batches_never_write_to_the_set() -> None:
    values = np.random.default_rng(0).random((4, 2, 2, 1), dtype=np.float32)
    before = values.copy()
    Batches(named(values), batch=9, seed=0)(0).images.mul_(0)
    for batch in iter_batches(named(values), batch=2):
        batch.images.mul_(0)
    assert np.array_equal(values, before)


def test_read_only_arrays_are_taken() -> None:
    values = np.zeros((4, 2, 2, 1), np.uint8)
    values.flags.writeable = False
    assert Batches(named(values), batch=2, seed=0)(0).images.shape == (2, 1, 2, 2)


def test_balanced_batches_draw_classes_alike() -> None:
    labels = np.array([0] * 960 + [1] * 30 + [5] * 10)
    images = ImageSet(np.zeros((1000, 1, 1, 1), np.uint8), tuple(map(str, range(1000))), labels)
    batches = Batches(images, batch=500, seed=0, balance=True)
    drawn = np.concatenate([batches.indices(step) for step in range(20)])
    for label, size in {0: 960, 1: 30, 5: 10}.items():
        chosen = drawn[labels[drawn] == label]
        assert abs(len(chosen) - len(drawn) / 3) < 5 * np.sqrt(len(drawn) * 2 / 9)
        assert len(np.unique(chosen)) > 0.9 * size
    with pytest.raises(DataError, match="need labels"):
        Batches(numbered(3), batch=2, seed=0, balance=True)


def test_crops_are_parts_of_their_image_everywhere_in_it() -> None:
    plane = np.arange(6 * 7, dtype=np.uint8).reshape(1, 6, 7, 1)
    batches = Batches(named(plane), batch=1, seed=0, crop=(2, 3))
    corners = set()
    for step in range(400):
        crop = np.rint(batches(step).images[0, 0].numpy() * 255).astype(int)
        top, left = divmod(int(crop[0, 0]), 7)
        assert np.array_equal(crop, plane[0, top : top + 2, left : left + 3, 0])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(5) for left in range(5)}


def test_small_images_are_padded_by_reflection() -> None:
    row = np.array([[10, 20, 30]], np.uint8)[:, :, None]
    (batch,) = iter_batches(named(row[None]), batch=4, crop=(3, 7))
    levels = np.rint(batch.images[0, 0].numpy() * 255).astype(int)
    assert levels.tolist() == [[30, 20, 10, 20, 30, 20, 10]] * 3


def test_mixed_sizes_need_a_crop_to_train() -> None:
    images = named(ragged(photo(8, 9), photo(3, 20), photo(30, 4)))
    with pytest.raises(DataError, match="different sizes"):
        Batches(images, batch=2, seed=0)
    for step in range(3):
        assert Batches(images, batch=2, seed=0, crop=(6, 6))(step).images.shape == (2, 3, 6, 6)


@given(st.lists(st.sampled_from([(2, 3), (3, 2), (4, 4)]), min_size=1, max_size=12), st.integers(1, 5))
def test_a_whole_pass_gives_every_image_once_in_order(sizes: list[tuple[int, int]], batch: int) -> None:
    originals = [photo(*size, seed=i) for i, size in enumerate(sizes)]
    batch_rows = []
    for part in iter_batches(named(ragged(*originals)), batch=batch):
        assert 1 <= len(part.indices) <= batch
        for index, image in zip(part.indices, part.images, strict=True):
            assert np.array_equal(np.rint(image.permute(1, 2, 0).numpy() * 255), originals[index])
            batch_rows.append(int(index))
    assert batch_rows == list(range(len(sizes)))


def test_a_pass_over_chosen_images_and_centre_crops() -> None:
    images = numbered(9)
    parts = list(iter_batches(images, [7, 2, 5], batch=2))
    assert [contents(part.images) for part in parts] == [[7, 2], [5]]
    plane = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    (centre,) = iter_batches(named(plane), batch=1, crop=(3, 3))
    assert np.rint(centre.images[0, 0].numpy() * 255).tolist() == [[6, 7, 8], [11, 12, 13], [16, 17, 18]]


def test_memory_mapped_sets_and_their_parts_give_the_same_batches(tmp_path: Path) -> None:
    values = np.stack([photo(4, 5, seed=i) for i in range(10)])
    mapped = np.memmap(tmp_path / "a", dtype=np.uint8, mode="w+", shape=values.shape)
    mapped[:] = values
    for crop in (None, (2, 2)):
        for plain, disk in (
            (named(values), named(mapped)),
            (named(values).subset([8, 1, 5, 3]), named(mapped).subset([8, 1, 5, 3])),
        ):
            assert disk.memory_mapped
            for step in range(3):
                options = {"batch": 3, "seed": 2, "crop": crop}
                here, there = (Batches(images, **options)(step) for images in (plain, disk))  # type: ignore[arg-type]
                assert torch.equal(here.images, there.images)


def test_impossible_requests() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Batches(numbered(3), batch=0, seed=0)
    with pytest.raises(UsageError, match="at least 1"):
        next(iter_batches(numbered(3), batch=1, crop=(0, 4)))
    with pytest.raises(DataError, match="no images"):
        Batches(named(np.zeros((0, 2, 2, 1), np.uint8)), batch=1, seed=0)


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 5))
def test_few_large_images_give_several_crops_to_a_batch(count: int, batch: int, seed: int) -> None:
    pixels = np.stack([photo(30, 40, seed=i) for i in range(count)])
    batches = Batches(named(pixels), batch=batch, seed=seed, crop=(5, 5))
    drawn = np.concatenate([batches(step).indices for step in range(3)])
    counts = np.bincount(drawn, minlength=count)
    assert len(drawn) == 3 * batch
    assert counts.max() - counts.min() <= 1  # whole epochs one after another


@pytest.mark.parametrize(("size", "ways"), [((3, 3), 8), ((2, 3), 4)])
def test_turned_examples_are_the_image_in_each_of_its_symmetries(size: tuple[int, int], ways: int) -> None:
    image = np.arange(size[0] * size[1], dtype=np.uint8).reshape(1, *size, 1)
    batches = Batches(named(np.repeat(image, 100, axis=0)), batch=50, seed=0, orientations=8)
    images_drawn = {tuple((batches(0).images[i] * 255).round().flatten().int().tolist()) for i in range(50)}
    plane = image[0, ..., 0]
    turned = [np.rot90(plane, k) for k in (range(4) if ways == 8 else (0, 2))]
    expected = {tuple(t.ravel().tolist()) for p in turned for t in (p, p[:, ::-1])}
    assert len(expected) == ways
    assert images_drawn == expected


def test_mirrored_examples_stay_upright() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    batches = Batches(named(np.repeat(image, 100, axis=0)), batch=50, seed=0, orientations=2)
    read = (batches(0).images * 255).round().int()
    plane = image[0, :, :, 0]
    expected = {tuple(p.ravel().tolist()) for p in (plane, plane[:, ::-1])}
    assert {tuple(row) for row in read.flatten(1).tolist()} == expected
