"""The set in memory: identity by content, parts that share memory, checks on construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus.errors import DataError
from isthmus.images.store import ImageSet, Ragged

SETS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.integers(0, 3))


def named(pixels: np.ndarray | Ragged, **options: object) -> ImageSet:
    return ImageSet(pixels, tuple(map(str, range(len(pixels)))), **options)  # type: ignore[arg-type]


def ragged(*images: np.ndarray) -> Ragged:
    ends = np.cumsum([0, *(image.size for image in images)])
    shapes = np.array([image.shape for image in images])
    return Ragged(np.concatenate([image.reshape(-1) for image in images]), ends[:-1], shapes)


@given(SETS, st.randoms())
def test_the_fingerprint_knows_content_not_order_or_names(pixels: np.ndarray, random: object) -> None:
    order = list(range(len(pixels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    images = named(pixels)
    shuffled = ImageSet(pixels[order], tuple(f"other-{i}" for i in order))
    assert shuffled.fingerprint() == images.fingerprint()
    assert np.array_equal(images.hashes()[order], shuffled.hashes())


@given(SETS)
def test_equal_hashes_mean_equal_images(pixels: np.ndarray) -> None:
    hashes = named(pixels).hashes()
    for i in range(len(pixels)):
        for j in range(len(pixels)):
            assert (hashes[i] == hashes[j]) == np.array_equal(pixels[i], pixels[j])


def test_shape_and_type_are_part_of_the_content() -> None:
    pixels = np.zeros((1, 2, 3, 1), dtype=np.uint8)
    others: list[np.ndarray] = [
        pixels.reshape(1, 3, 2, 1),
        pixels.reshape(1, 2, 1, 3),
        np.zeros((1, 1, 3, 1), np.uint16),
        pixels + 1,
    ]
    prints = {named(p).fingerprint() for p in [pixels, *others]}
    assert len(prints) == 5
    assert named(np.concatenate([pixels, pixels])).fingerprint() != named(pixels).fingerprint()


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 2, 2, 3)
    assert named(pixels).fingerprint() == named(pixels.astype(">u2").astype(np.uint16)).fingerprint()
    assert named(pixels).fingerprint() == "8cbc1e6e2e572ce806a2a1cd5a0c2df0"


def test_ragged_and_array_agree() -> None:
    pixels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5, 1)
    flat = named(ragged(*pixels))
    assert flat.shape == (4, 5, 1)
    assert flat.fingerprint() == named(pixels).fingerprint()
    assert np.array_equal(flat.stack([2, 0]), pixels[[2, 0]])


def test_a_part_keeps_names_and_labels_in_step() -> None:
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    images = ImageSet(pixels, tuple("abcde"), np.arange(5) * 10, tuple(map(str, range(41))))
    part = images.subset([3, 1])
    assert part.names == ("d", "b")
    assert part.labels is not None
    assert part.labels.tolist() == [30, 10]
    assert part.image(0).tolist() == [[[3]]]
    assert len(part) == 2


@given(SETS, st.booleans())
def test_a_part_has_the_hashes_of_its_images_whenever_they_were_taken(
    pixels: np.ndarray, before: bool
) -> None:
    images = named(pixels)
    if before:
        images.hashes()
    rows = np.arange(len(pixels))[::-2]
    assert np.array_equal(images.subset(rows).hashes(), named(pixels[rows]).hashes())


def test_mixed_sizes_have_no_common_shape_until_a_part_has() -> None:
    small, large = np.zeros((2, 3, 1), np.uint8), np.ones((4, 5, 1), np.uint8)
    images = named(ragged(small, large, small))
    assert images.shape is None
    assert images.channels == 1
    assert np.array_equal(images.image(1), large)
    assert images.subset([0, 2]).shape == (2, 3, 1)
    with pytest.raises(DataError, match="different sizes"):
        images.stack([0, 1])


def test_a_part_of_a_memory_map_stays_on_disk(tmp_path: object) -> None:
    mapped = np.memmap(f"{tmp_path}/a", dtype=np.uint8, mode="w+", shape=(10, 2, 2, 1))
    mapped[:] = np.arange(40).reshape(10, 2, 2, 1)
    part = named(mapped).subset([7, 2])
    assert part.memory_mapped
    assert part.shape == (2, 2, 1)
    assert np.array_equal(part.stack([0, 1]), np.asarray(mapped)[[7, 2]])


def test_sets_that_do_not_fit_together_are_refused() -> None:
    pixels = np.zeros((2, 1, 1, 1), np.uint8)
    with pytest.raises(DataError, match="3 labels"):
        named(pixels, labels=np.zeros(3, np.int64))
    with pytest.raises(DataError, match="1 name"):
        ImageSet(pixels, ("a",))
    with pytest.raises(DataError, match="int64"):
        named(pixels.astype(np.int64))
