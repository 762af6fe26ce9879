"""A test run has one thread per process, those that tests start too, and a process per core for folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

CONFTEST = Path(__file__).parents[1] / "conftest.py"
COUNT_THREADS = """
import numpy, torch
from threadpoolctl import threadpool_info
print(sorted({pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}))
"""
TESTS = """
import os
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(8))
def test_a_process_says_its_name(number):
    Path(f"ran-{number}").write_text(os.environ.get("PYTEST_XDIST_WORKER", "here"))
    Path(f"threads-{number}").write_text(os.environ["OMP_NUM_THREADS"])
"""


def test_this_process_has_one_thread() -> None:
    assert np.eye(2).sum() == 2  # NumPy's library for matrix products is loaded
    assert torch.get_num_threads() == 1
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}


def test_a_process_that_a_test_starts_has_one_thread() -> None:
    ran = subprocess.run([sys.executable, "-c", COUNT_THREADS], capture_output=True, text=True, check=True)
    assert ran.stdout == "[1]\n"


def processes_of(folder: Path, *words: str) -> set[str]:
    """The processes in which pytest runs the eight tests of a small project that has this conftest.py."""
    shutil.copy(CONFTEST, folder)
    # The conftest reaches into the package, which would load PyTorch in every process.
    package = folder / "isthmus" / "training"
    package.mkdir(parents=True)
    for module in (package.parent / "__init__.py", package / "__init__.py"):
        module.touch()
    (package / "trainer_setup.py").write_text("time_step = None", "utf-8")
    (folder / "test_names.py").write_text(TESTS, "utf-8")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name not in ("OMP_NUM_THREADS", "PYTHONPATH")
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert {path.read_text() for path in folder.glob("threads-*")} == {"1"}
    results = [path.read_text() for path in folder.glob("ran-*")]
    assert len(results) == 8
    return set(results)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs the cores of this process")
def test_a_folder_runs_on_every_core(tmp_path: Path) -> None:
    cores = min(8, len(os.sched_getaffinity(0)))
    expected = {f"gw{number}" for number in range(cores)} if cores > 1 else {"here"}
    assert processes_of(tmp_path, ".") == expected


@pytest.mark.parametrize("words", [["test_names.py"], [".", "-n", "0"], [".", "-p", "no:xdist"]])
def test_one_file_or_a_run_without_processes_stays_in_this_one(words: list[str], tmp_path: Path) -> None:
    assert processes_of(tmp_path, *words) == {"here"}
