"""What every test run has: one thread per process, a process per core, no deadlines and its own cache."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports NumPy or PyTorch, which read these once. The processes that pytest-xdist or a test
# starts inherit them. With one thread, sums are in the same order on every machine and in any number of
# processes, and processes do not compete for cores.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
for variable in THREAD_VARIABLES:
    os.environ[variable] = "1"
# What a developer has set for the command must not change what the tests see.
for variable in ("ISTHMUS_DATA", "ISTHMUS_MIRROR", "ISTHMUS_THREADS"):
    os.environ.pop(variable, None)

SECONDS_PER_STEP = 0.05  # of every training that is to last some minutes
MAX_PROCESSES = 8  # each holds PyTorch and the models of its tests, about 1 GB

# A job that a shell put into the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Distribute folders of tests over the cores, unless `-n`, `--dist`, `--pdb` or `-s` is given."""
    option = config.option
    in_worker = hasattr(config, "workerinput")
    if in_worker or getattr(option, "numprocesses", 0) is not None or option.dist != "no" or option.tx:
        return
    if option.usepdb or option.capture == "no" or option.collectonly:
        return
    processes = min(_available_cores(), MAX_PROCESSES)
    if processes > 1 and any(Path(argument).is_dir() for argument in config.args):
        option.numprocesses = processes
        option.dist = "worksteal"


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@pytest.fixture(scope="session", autouse=True)
def same_everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that is trained depends on this machine's speed or on what its user has cached."""

    def time_step(*_given: Any, **_how: Any) -> float:
        return SECONDS_PER_STEP

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISTHMUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("isthmus.training.trainer_setup.time_step", time_step)
        yield
