"""One thread for NumPy's products while symbols are coded, and all of them again afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from isthmus.codec.blas import one_thread


def threads() -> list[int]:
    return [one["num_threads"] for one in ThreadpoolController().select(internal_api="openblas").info()]


def test_threads_are_given_back_even_after_an_error() -> None:
    before = threads()
    with pytest.raises(ValueError, match="wrong"), one_thread():
        assert set(threads()) <= {1}
        raise ValueError("wrong")
    assert threads() == before


def test_from_many_threads_at_once_none_is_lost() -> None:
    before = threads()

    def work(seed: int) -> float:
        with one_thread():
            values = np.random.default_rng(seed).normal(size=(64, 64))
            return float((values @ values).sum())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(64)))
    assert len(found) == 64
    assert threads() == before
