from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition
from torch import Tensor

from isthmus.errors import DataError, UsageError
from isthmus.metrics import baselines
from isthmus.metrics.baselines import PCA, BlockPCA, MeanImage
from isthmus.metrics.pixel_metrics import mse


def images_of_rank(rank: int, shape: tuple[int, ...] = (60, 2, 8, 6), seed: int = 0) -> Tensor:
    """Images in the middle of the range that differ from their mean in `rank` directions only."""
    generator = torch.Generator().manual_seed(seed)
    n, *rest = shape
    directions = torch.randn(rank, int(np.prod(rest)), generator=generator)
    flat = 0.5 + 0.01 * torch.randn(n, rank, generator=generator) @ directions
    return flat.view(shape).clamp(0, 1)


def test_mean_image_is_the_mean_over_all_batches_not_of_batches() -> None:
    x = images_of_rank(5)
    baseline = MeanImage().fit([x[:50], x[50:]])
    assert torch.allclose(baseline.reconstruct(x[:3]), x.mean(0).expand(3, -1, -1, -1), atol=1e-6)


def test_pca_agrees_with_scikit_learn() -> None:
    x = torch.rand(200, 1, 7, 7, generator=torch.Generator().manual_seed(1)) ** 3
    theirs = decomposition.PCA(9, svd_solver="full").fit(x.flatten(1).double().numpy())
    expected = theirs.inverse_transform(theirs.transform(x.flatten(1).double().numpy()))
    ours = PCA(9).fit(x.split(64)).reconstruct(x)
    assert np.allclose(ours.flatten(1), expected.clip(0, 1), atol=1e-4)


def test_order_and_size_of_batches_do_not_matter() -> None:
    x = images_of_rank(20)
    single_batch, many = PCA(4).fit([x]), PCA(4).fit(x.flip(0).split(7))
    assert torch.allclose(single_batch.reconstruct(x), many.reconstruct(x), atol=1e-5)


@pytest.mark.parametrize("limit", [4096, 10])
def test_enough_components_lose_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # A limit below the 96 numbers of an image takes the randomised way.
    monkeypatch.setattr(baselines, "MAX_EXACT_WIDTH", limit)
    x = images_of_rank(5)
    five, four = (PCA(k).fit(x.split(16)).reconstruct(x) for k in (5, 4))
    assert float(mse(five, x).max()) < 1e-9 < float(mse(four, x).mean())


def test_a_sample_stands_for_a_long_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_EXACT_WIDTH", 10)
    monkeypatch.setattr(baselines, "MAX_SAMPLE_ROWS", 50)
    # Sorted by content: the first 50 alone would not know the second half.
    x = torch.cat((images_of_rank(2, (300, 1, 6, 6), 1), images_of_rank(2, (300, 1, 6, 6), 2)))
    assert float(mse(PCA(4).fit(x.split(100)).reconstruct(x), x).mean()) < 1e-6


@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 7), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_full_block_code_gives_any_size_back(h: int, w: int, block: int, channels: int) -> None:
    x = torch.rand(2, channels, h, w, generator=torch.Generator().manual_seed(h * w))
    baseline = BlockPCA(block, channels * block**2).fit([x])
    assert baseline.encode(x).shape == (2, channels * block**2, -(-h // block), -(-w // block))
    assert torch.allclose(baseline.reconstruct(x), x, atol=1e-4)


def test_block_pca_is_for_images_of_any_size_and_better_with_more_components() -> None:
    generator = torch.Generator().manual_seed(0)
    fitted = [torch.rand(4, 1, 16, 24, generator=generator), torch.rand(3, 1, 9, 33, generator=generator)]
    x = torch.rand(2, 1, 21, 11, generator=generator)
    errors = [float(mse(BlockPCA(4, k).fit(fitted).reconstruct(x), x).mean()) for k in (1, 4, 12, 16)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-8


@pytest.mark.parametrize("make", [MeanImage, lambda: PCA(3), lambda: BlockPCA(4, 3)])
def test_results_are_images_and_the_rest_is_refused(make: type[MeanImage]) -> None:
    x = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(3)).round()
    with pytest.raises(UsageError):
        make().reconstruct(x)
    for nothing in ([], [x[:0]]):
        with pytest.raises(DataError):
            make().fit(nothing)
    baseline = make().fit(x.split(10))
    result = baseline.reconstruct(x)
    assert result.shape == x.shape and float(result.min()) >= 0 and float(result.max()) <= 1
    with pytest.raises(DataError):
        baseline.reconstruct(torch.rand(2, 3, 8, 8))


def test_more_components_than_numbers_are_cut() -> None:
    x = torch.rand(30, 1, 3, 3)
    assert PCA(100).fit([x]).encode(x).shape == (30, 9)
    with pytest.raises(UsageError):
        PCA(0)


def test_one_image_is_its_own_mean_and_has_no_components() -> None:
    image = torch.rand(
        1, 3, 40, 40, generator=torch.Generator().manual_seed(0)
    )  # more values than PCA does exactly
    result = PCA(5).fit([image])
    assert torch.equal(result.reconstruct(image), image)
