from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import DataError
from isthmus.metrics import codes
from isthmus.metrics.codes import code_statistics


def test_a_code_made_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    code = torch.zeros(1000, 5)
    code[:, 0] = torch.randn(1000, generator=generator)
    code[:, 1] = -2 * code[:, 0]
    code[:, 2] = 0.05 * torch.randn(1000, generator=generator)
    code[:, 4] = 3.0
    result = code_statistics(code)
    assert (result.images, result.units) == (1000, 5)
    assert result.active_units == 2  # the third moves, but less than 0.01 in variance
    assert result.dead_units == 2
    assert result.zero_fraction == pytest.approx(0.2)
    assert result.non_zeros_per_image == pytest.approx(4)
    assert result.max_abs_correlation == pytest.approx(1)
    assert result.participation_ratio == pytest.approx(1, abs=0.01)
    assert json.loads(json.dumps(asdict(result)))["units"] == 5


def test_white_codes_use_every_dimension() -> None:
    result = code_statistics(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(0)))
    assert result.effective_rank == pytest.approx(8, abs=0.02)
    assert result.participation_ratio == pytest.approx(8, abs=0.05)
    assert result.mean_abs_correlation < 0.02
    assert result.mean == pytest.approx(0, abs=0.02)
    assert result.std == pytest.approx(1, abs=0.02)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_dimensions_are_bounded_by_the_rank_and_blind_to_scale(n: int, d: int, seed: int) -> None:
    code = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    result, scaled = code_statistics(code), code_statistics(4 * code + 1)
    rank = min(n - 1, d)
    assert min(rank, 1) <= result.participation_ratio + 1e-6
    assert result.participation_ratio <= result.effective_rank + 1e-6 <= rank + 1e-4
    assert scaled.effective_rank == pytest.approx(result.effective_rank, rel=1e-3)
    assert 0 <= result.mean_abs_correlation <= result.max_abs_correlation <= 1


def test_wide_codes_are_measured_from_the_smaller_side(monkeypatch: pytest.MonkeyPatch) -> None:
    code = torch.randn(40, 3) @ torch.randn(3, 500)
    statistics = code_statistics(code)
    assert statistics.effective_rank <= 3 + 1e-4
    monkeypatch.setattr(codes, "MAX_MATRIX_SIDE", 20)
    assert 1 <= code_statistics(code).effective_rank <= 3 + 1e-4


@pytest.mark.parametrize("bad", [torch.zeros(0, 3), torch.zeros(3), torch.full((2, 2), math.inf)])
def test_what_is_no_code_is_refused(bad: torch.Tensor) -> None:
    with pytest.raises(DataError):
        code_statistics(bad)
