"""Kill a process at every line of the code that saves a checkpoint; what lies at the path is always whole.

python -m tests.training.killing FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from isthmus import atomic
from isthmus.training import state

NUMBERS = 300_000
TRACED = {atomic.__file__, state.__file__}


def make_state(number: int) -> state.Checkpoint:
    """A state whose every part tells its number."""
    tensors = {f"w{i}": torch.full((NUMBERS,), float(number)) for i in range(3)}
    return state.Checkpoint({"number": number}, tensors)


def number_of(path: Path) -> int:
    """The number of the state at `path`; raises where it is not one whole state."""
    loaded = state.load(path)
    number = int(loaded.facts["number"])
    assert set(loaded.tensors) == {"w0", "w1", "w2"}
    for tensor in loaded.tensors.values():
        assert tensor.shape == (NUMBERS,)
        assert bool((tensor == number).all())
    return number


def is_killed_in_save(path: Path, number: int, line: int) -> bool:
    """Save state `number` in a process that is killed before the `line`-th line of it; False: it finished."""
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in TRACED:
                return None
            if event == "line":
                lines += 1
                if lines == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            state.save(path, make_state(number))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, "saving failed"
    return os.WIFSIGNALED(status)


def kill_everywhere(folder: Path) -> tuple[int, int, int]:
    """`(kills, those that left half a file, those after which the new state was there)`."""
    torch.set_num_threads(1)
    path = folder / "m.resume.safetensors"
    state.save(path, make_state(0))
    kills, halves, arrived = 0, 0, 0
    while is_killed_in_save(path, kills + 1, kills + 1):
        kills += 1
        state_number = number_of(path)
        # The state before is that of the last kill which came late enough, or the first one.
        assert state_number in (kills, 0), (
            f"killed at line {kills}: state {state_number} is neither the old nor the new one"
        )
        arrived += state_number == kills
        if state_number == kills:
            state.save(path, make_state(0))
        left = [p for p in folder.iterdir() if p != path]
        halves += bool(left)
        for half in left:
            half.unlink()
    assert number_of(path) == kills + 1
    return kills, halves, arrived


if __name__ == "__main__":
    kills, halves, arrived = kill_everywhere(Path(sys.argv[1]))
    print(f"{kills} kills, {halves} left half a file, after {arrived} the new state was there")
