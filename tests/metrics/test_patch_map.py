"""The best linear map from patches to pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from isthmus.errors import DataError
from isthmus.metrics.baselines import PatchMap


def test_a_linear_transformation_is_found_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 2, 16, 18, generator=generator)
    weight = torch.rand(3, 2, 3, 3, generator=generator) / 40
    bias = torch.tensor([0.1, 0.2, 0.3])
    targets = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), weight, bias)
    fitted = PatchMap(3).fit([(images[:2], targets[:2]), (images[2:], targets[2:])])
    assert fitted.weight is not None and fitted.bias is not None
    torch.testing.assert_close(fitted.weight, weight, atol=2e-4, rtol=0)
    torch.testing.assert_close(fitted.apply(images), targets, atol=1e-3, rtol=0)


def test_it_is_the_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(1)
    images, targets = torch.rand(3, 1, 9, 9, generator=generator), torch.rand(3, 1, 9, 9, generator=generator)
    fitted = PatchMap(1).fit([(images, targets)])
    columns = torch.stack([images.flatten(), torch.ones(images.numel())], 1)
    slope, intercept = torch.linalg.lstsq(columns, targets.flatten()[:, None]).solution.flatten()
    assert fitted.weight is not None and fitted.bias is not None
    torch.testing.assert_close(fitted.weight.flatten()[0], slope, atol=1e-4, rtol=0)
    torch.testing.assert_close(fitted.bias[0], intercept, atol=1e-4, rtol=0)


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(DataError, match="no pairs"):
        PatchMap().fit([])
    with pytest.raises(DataError, match="not fitted"):
        PatchMap().apply(torch.zeros(1, 1, 4, 4))
