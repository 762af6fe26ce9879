"""How well `isthmus train --minutes M` keeps its time beside busy processes, and what that costs in loss.

    python benchmarks/minutes.py                                                 about ten minutes
    python benchmarks/minutes.py fashion-sample --minutes 0.5,1,2 --recipes conv,dense,variational
    python benchmarks/minutes.py photos/ --recipes codec --minutes 1

Each row is a pair: a training of M minutes beside the busy loops that this script starts, then one of as many
steps, with the same seed and precision. `wall` is the time of the whole command, from its start to its end;
`training` that of its steps and validations alone; both as shares of M. `loss` is the best validation loss
divided by that of the training with a fixed number of steps. One JSON object per row goes to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Processes that each keep a core busy, for the duration of the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def train(words: list[str]) -> tuple[float, dict[str, Any]]:
    """Seconds that the command took, and its JSON object."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "train", *words, "--json", "--quiet", "--force"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - began
    result: dict[str, Any] = json.loads(done.stdout)
    return seconds, result


def measure(data: str, recipe: str, minutes: float, loops: int, more: list[str]) -> dict[str, Any]:
    """One pair of trainings."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "model.safetensors")
        words = [data, "--recipe", recipe, "--patience", "0", "-o", out, *more]
        with busy_loops(loops):
            wall, timed = train([*words, "--minutes", str(minutes)])
        _, counted = train([*words, "--steps", str(timed["steps"]), "--precision", timed["precision"]])
    losses = [summary["best"]["validation"] for summary in (timed, counted)]
    return {
        "data": data,
        "recipe": recipe,
        "minutes": minutes,
        "loops": loops,
        "steps": timed["steps"],
        "wall": round(wall / (60 * minutes), 3),
        "training": round(timed["seconds"] / (60 * minutes), 3),
        "validation": losses,
        "loss": round(losses[0] / losses[1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", nargs="?", default="fashion-sample")
    parser.add_argument("--minutes", default="5", help="budgets, with commas between them (default 5)")
    parser.add_argument("--recipes", default="conv", help="with commas between them (default conv)")
    parser.add_argument("--loops", type=int, default=2, help="busy processes (default 2)")
    parser.add_argument("more", nargs="*", help="further words for `isthmus train`, after --")
    arguments = parser.parse_args()
    for recipe in arguments.recipes.split(","):
        for minutes in map(float, arguments.minutes.split(",")):
            row = measure(arguments.data, recipe, minutes, arguments.loops, arguments.more)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
