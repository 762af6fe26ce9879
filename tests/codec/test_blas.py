"""One thread for NumPy's products while symbols are coded, and all of them again afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# The tests themselves run with one thread, where nothing could be lost.
PROGRAM = """
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

from isthmus.codec.blas import one_thread


def threads():
    return [one["num_threads"] for one in ThreadpoolController().select(internal_api="openblas").info()]


def work(seed):
    with one_thread():
        values = np.random.default_rng(seed).normal(size=(64, 64))
        values @ values
        return threads()


found = {"before": threads()}
try:
    with one_thread():
        found["inside"] = threads()
        raise ValueError("wrong")
except ValueError:
    found["after an error"] = threads()
with ThreadPoolExecutor(8) as pool:
    found["inside, overlapping"] = list(pool.map(work, range(64)))
found["after overlapping"] = threads()
print(json.dumps(found))
"""


def test_two_threads_are_one_inside_and_two_again_after_errors_and_overlaps() -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    found = json.loads(ran.stdout)
    two = found["before"]
    if 2 not in two:
        pytest.skip("NumPy does not use OpenBLAS here, or has one core")
    one = [1] * len(two)
    assert found["inside"] == one
    assert found["after an error"] == two
    assert found["inside, overlapping"] == [one] * 64
    assert found["after overlapping"] == two
