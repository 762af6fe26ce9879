"""Threads: how many, who has them, and that the caller's settings are what they were afterwards."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus import openmp
from isthmus.errors import DataError, UsageError
from isthmus.machine import usable_cores
from isthmus.threads import batched, count, limited, map_ordered, overlapped, prepare_process


@pytest.fixture(autouse=True)
def torch_setting() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_THREADS", "3")


# ---------------------------------------------------------------- how many


@pytest.mark.parametrize(
    ("own", "openmp", "expected"),
    [
        ("3", "1", 3),
        (" 3 ", None, 3),
        ("", "5", 5),
        (None, "5", 5),
        (None, "5,2", 5),
        (None, "none", None),
        (None, "0", None),
        (None, None, None),
    ],
)
def test_the_number_comes_from_the_first_that_is_set(
    own: str | None, openmp: str | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(64)
    for name, value in (("ISTHMUS_THREADS", own), ("OMP_NUM_THREADS", openmp)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert count() == (expected or usable_cores())


def test_a_smaller_number_that_the_program_gave_to_torch_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISTHMUS_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    torch.set_num_threads(2)
    assert count() == 2
    monkeypatch.setenv("ISTHMUS_THREADS", "3")
    assert count() == 3


@pytest.mark.parametrize("value", ["0", "-1", "+2", "two", "1.5", "1_0", "٣", "1025", "9" * 5000])
def test_other_values_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_THREADS", value)
    with pytest.raises(UsageError, match="is not a number of threads"):
        count()
    with pytest.raises(UsageError, match="is not a number of threads"):
        isthmus.denoise(np.zeros((16, 16), np.uint8), sigma=1)


def test_the_command_line_refuses_them_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "isthmus", "recipes"],
        env={**os.environ, "ISTHMUS_THREADS": "two"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "isthmus: error: ISTHMUS_THREADS=two is not a number of threads from 1 to 1024\n"


def test_a_process_of_its_own_sets_what_libraries_read_when_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.setenv(name, "before")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "before")
    monkeypatch.setenv("ISTHMUS_THREADS", "3")
    prepare_process()  # torch is loaded: nothing happens
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.delitem(sys.modules, "numpy")
    prepare_process()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert int(os.environ["GOMP_SPINCOUNT"]) < 300_000  # the library's own
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "before"  # the user's holds


# ---------------------------------------------------------------- operators


@pytest.mark.usefixtures("three")
def test_limited_holds_within_the_block_and_in_this_thread_only() -> None:
    torch.set_num_threads(2)
    thread_counts: list[int] = []
    other = threading.Thread(target=lambda: thread_counts.append(torch.get_num_threads()))
    with limited() as number:
        assert number == torch.get_num_threads() == 3
        other.start()
        other.join()
        with limited(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 2
    assert thread_counts == [2]
    with pytest.raises(ValueError, match="wrong"), limited():
        raise ValueError("wrong")
    assert torch.get_num_threads() == 2


def test_blocks_that_overlap_in_several_threads_leave_every_setting() -> None:
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=60)
    thread_counts = []

    def work(number: int) -> None:
        with limited(number):
            both.wait()
            thread_counts.append((number, torch.get_num_threads()))
            both.wait()
        thread_counts.append((0, torch.get_num_threads()))

    workers = [threading.Thread(target=work, args=(number,)) for number in (3, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(thread_counts) == [(0, 2), (0, 2), (3, 3), (4, 4)]
    assert torch.get_num_threads() == 2


def _keepers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "isthmus-openmp"]


@pytest.mark.skipif(
    not list((Path(torch.__file__).parent / "lib").glob("libgomp*")), reason="another OpenMP library"
)
def test_threads_that_share_operators_wait_passively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setattr(openmp, "LINGER_SECONDS", 0)
    with limited(2), limited(2):
        assert len(_keepers()) == 1
    for keeper in threading.enumerate():
        if keeper.name == "isthmus-openmp":
            keeper.join(60)
    assert not _keepers()  # ends soon after the last block
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")  # the user's choice
    with limited(2):
        assert not _keepers()


@pytest.mark.parametrize("use", ["denoise", "train", "encode"])
def test_every_use_leaves_the_callers_setting(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_THREADS", "1")
    torch.set_num_threads(2)
    images = np.random.default_rng(0).integers(256, size=(20, 16, 16), dtype=np.uint8)
    if use == "denoise":
        isthmus.denoise(images[0], sigma=10)
    else:
        settings = ["backbone.width=4", "backbone.blocks=1"]
        model = isthmus.train(images, recipe="conv", code="4", settings=settings, steps=2)
        assert model.summary["threads"] == 1
        model.encode(images)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("use", ["denoise", "inpaint", "anomalies", "encode", "reconstruct"])
def test_results_do_not_depend_on_the_number_of_threads(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(150, 16, 16), dtype=np.uint8)  # several batches of the model
    photo = generator.integers(256, size=(70, 90, 3), dtype=np.uint8)
    hidden = np.zeros(photo.shape[:2], bool)
    hidden[20:30, 20:40] = True
    monkeypatch.setenv("ISTHMUS_THREADS", "1")
    settings = ["backbone.width=4", "backbone.blocks=1"]
    model = isthmus.train(images, recipe="conv", code="4", settings=settings, steps=2)
    uses: dict[str, Callable[[], Any]] = {
        "denoise": lambda: isthmus.denoise(photo, sigma=10),
        "inpaint": lambda: isthmus.inpaint(photo, hidden),
        "anomalies": lambda: isthmus.anomalies(model, images[:20], normal=images).scores,
        "encode": lambda: model.encode(images),
        "reconstruct": lambda: model.reconstruct(images),
    }
    results = []
    for number in ("1", "2", "3"):
        monkeypatch.setenv("ISTHMUS_THREADS", number)
        results.append(np.asarray(uses[use](), dtype=np.float64))
    levels = use in ("denoise", "inpaint", "reconstruct")
    for other in results[1:]:
        # Operators that sum may do so in another order.
        np.testing.assert_allclose(other, results[0], rtol=0 if levels else 1e-4, atol=1 if levels else 1e-6)


# ---------------------------------------------------------------- workers


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("number", [0, 1, 20])
@pytest.mark.usefixtures("three")
def test_results_come_in_order(workers: int, number: int) -> None:
    result = list(map_ordered(lambda n: n * n, range(number), workers=workers, ahead=workers % 3))
    assert result == [n * n for n in range(number)]


@pytest.mark.usefixtures("three")
def test_a_worker_has_one_thread_and_the_callers_modes() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("the caller's")
    torch.set_flush_denormal(True)

    def state(_: int) -> tuple[object, ...]:
        inner = list(map_ordered(lambda _: threading.current_thread() is here, [1, 2]))
        with limited() as number:
            tiny = sys.float_info.min / 2
            return torch.get_num_threads(), number, torch.is_grad_enabled(), tiny == 0, variable.get(), inner

    here = threading.current_thread()
    try:
        with torch.no_grad():
            result = list(map_ordered(state, range(4)))
    finally:
        torch.set_flush_denormal(False)
    assert result == [(1, 1, False, True, "the caller's", [False, False])] * 4


@pytest.mark.usefixtures("three")
def test_items_are_in_work_together() -> None:
    meet = threading.Barrier(3, timeout=60)
    assert len(list(map_ordered(lambda _: meet.wait(), range(6)))) == 6


@pytest.mark.usefixtures("three")
def test_what_is_in_flight_is_bounded() -> None:
    drawn = []

    def items() -> Iterator[int]:
        for number in range(20):
            drawn.append(number)
            yield number

    result = map_ordered(lambda n: n, items(), ahead=2)
    assert next(result) == 0
    assert len(drawn) == 5
    result.close()
    assert len(drawn) == 5


@pytest.mark.usefixtures("three")
def test_an_error_comes_in_its_place_and_ends_the_rest() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise DataError("two")
        return number

    result = map_ordered(work, range(100))
    assert [next(result), next(result)] == [0, 1]
    with pytest.raises(DataError, match="two"):
        next(result)
    assert len(begun) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("isthmus_")]


@pytest.mark.usefixtures("three")
def test_ctrl_c_ends_the_workers() -> None:
    result = map_ordered(lambda n: n, range(100))
    next(result)
    with pytest.raises(KeyboardInterrupt):
        result.throw(KeyboardInterrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("isthmus_")]


def test_bits_do_not_depend_on_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3))
    batches = torch.split(torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 4)
    results = []
    for workers in ("1", "2", "4"):
        monkeypatch.setenv("ISTHMUS_THREADS", workers)
        with torch.no_grad():
            results.append(torch.cat(list(map_ordered(network, batches))))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


# ---------------------------------------------------------------- overlap


@pytest.fixture(params=[1, 2])
def number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("ISTHMUS_THREADS", str(request.param))
    return int(request.param)


@pytest.mark.usefixtures("number")
@pytest.mark.parametrize("waiting", [1, 5])
def test_overlapped_results_come_in_order(waiting: int) -> None:
    result = list(overlapped(lambda n: n * n, range(20), waiting=waiting))
    assert result == [(n, n * n) for n in range(20)]
    assert list(overlapped(lambda n: n, [])) == []


def test_no_more_items_are_drawn_than_may_wait(number: int) -> None:
    drawn = []

    def items() -> Iterator[int]:
        for item in range(20):
            drawn.append(item)
            yield item

    result = overlapped(lambda n: n, items(), waiting=3)
    assert next(result) == (0, 0)
    assert len(drawn) == (1 if number == 1 else 4)


@pytest.mark.usefixtures("number")
def test_what_the_work_raises_comes_with_its_item() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise DataError("two")
        return number

    result = overlapped(work, range(5))
    assert [next(result), next(result)] == [(0, 0), (1, 1)]
    with pytest.raises(DataError, match="two"):
        next(result)


def test_batched_keeps_order_and_the_rest() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


# ---------------------------------------------------------------- BLAS

BLAS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import ThreadpoolController
from isthmus.threads import one_blas_thread

def numbers():
    return {one["num_threads"] for one in ThreadpoolController().select(internal_api="openblas").info()}

if not numbers():
    sys.exit(77)
assert numbers() == {2}, numbers()
try:
    with one_blas_thread:
        assert numbers() == {1}, numbers()
        raise ValueError
except ValueError:
    pass
assert numbers() == {2}, numbers()
first, second = threading.Event(), threading.Event()

def longer():
    with one_blas_thread:
        first.set()
        second.wait()
        return numbers()

with ThreadPoolExecutor(1) as pool:
    with one_blas_thread:
        found = pool.submit(longer)
        first.wait()
    assert numbers() == {1}, "the other block is open"
    second.set()
    assert found.result() == {1}
assert numbers() == {2}, numbers()
"""


def test_blas_has_one_thread_until_the_last_block_ends() -> None:
    result = subprocess.run(
        [sys.executable, "-c", BLAS],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 77:
        pytest.skip("NumPy has no OpenBLAS here")
    assert result.returncode == 0, result.stderr
