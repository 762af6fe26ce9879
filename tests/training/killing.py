"""Kill a process at random moments while it saves checkpoints; what lies at the path must always be whole.

python -m tests.training.killing 200 FOLDER
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from isthmus.training import checkpoint

NUMBERS = 300_000


def state(number: int) -> checkpoint.Checkpoint:
    """A state whose every part tells its number."""
    tensors = {f"w{i}": torch.full((NUMBERS,), float(number)) for i in range(3)}
    return checkpoint.Checkpoint({"number": number}, tensors)


def number_of(path: Path) -> int:
    """The number of the state at `path`; raises where it is not one whole state."""
    loaded = checkpoint.load(path)
    number = int(loaded.facts["number"])
    assert set(loaded.tensors) == {"w0", "w1", "w2"}
    for tensor in loaded.tensors.values():
        assert tensor.shape == (NUMBERS,)
        assert bool((tensor == number).all())
    return number


def kill_often(kills: int, folder: Path, seed: int = 0) -> tuple[int, int]:
    """`(kills that hit a save half-way, saves that were finished)` out of `kills` killed processes."""
    torch.set_num_threads(1)
    moments = random.Random(seed)
    path = folder / "m.resume.safetensors"
    checkpoint.save(path, state(0))
    interrupted, number = 0, 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    number += 1
                    checkpoint.save(path, state(number))
            finally:
                os._exit(1)
        time.sleep(moments.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the child ended by itself"
        found = number_of(path)
        assert found >= number, "an older state came back"
        number = found
        halves = [p for p in folder.iterdir() if p != path]
        interrupted += bool(halves)
        for half in halves:
            half.unlink()
    return interrupted, number


if __name__ == "__main__":
    started = time.monotonic()
    half, saves = kill_often(int(sys.argv[1]), Path(sys.argv[2]))
    print(f"{sys.argv[1]} kills, {half} of them half-way through a save, {saves} saves finished, ", end="")
    print(f"always a whole state; {time.monotonic() - started:.0f} s")
