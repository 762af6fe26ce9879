"""Work in another thread: the same results in the same order, a bounded number of items ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
import torch

from isthmus.codec.overlap import overlapped
from isthmus.errors import DataError


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("most", [1, 5])
def test_results_come_in_order(most: int) -> None:
    assert list(overlapped(lambda n: n * n, range(20), most=most)) == [(n, n * n) for n in range(20)]
    assert list(overlapped(lambda n: n, [])) == []


def test_no_more_items_are_drawn_than_may_wait(threads: int) -> None:
    drawn = []

    def items() -> Iterator[int]:
        for number in range(20):
            drawn.append(number)
            yield number

    found = overlapped(lambda n: n, items(), most=3)
    assert next(found) == (0, 0)
    assert len(drawn) == (1 if threads == 1 else 4)
    assert isinstance(found, Generator)
    found.close()


@pytest.mark.usefixtures("threads")
def test_what_the_work_raises_comes_with_its_item() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise DataError("two")
        return number

    found = overlapped(work, range(5))
    assert [next(found), next(found)] == [(0, 0), (1, 1)]
    with pytest.raises(DataError, match="two"):
        next(found)
