"""One training by one process and by several on one machine: steps a second, work, and the resulting loss.

    python benchmarks/scaling.py                                       the shipped sample, 1 and 2 processes
    python benchmarks/scaling.py --processes 1,2,4 --data photos/ --steps 300

The batch is the same for all, so the steps are, too. Wall time says what a user waits, and on a machine that
does other things mostly how much of it was free; the processor's time says how much work a step is for all
processes together. Start-up is left out: every number of processes also makes a training of few steps, and
what that took is subtracted. The load is that of the last minute before each training.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FEW = 10


def main() -> None:
    """Train with each number of processes and print the table; `--json FILE` also writes the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="fashion-sample")
    parser.add_argument("--recipe", default="conv")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print(
        "| processes | steps/s | processor ms a step, all | validation | load before |\n" + "|---" * 5 + "|"
    )
    for _ in range(arguments.turns):
        for count in map(int, arguments.processes.split(",")):
            short, long = (trained(arguments, count, steps) for steps in (FEW, FEW + arguments.steps))
            wall, work = (long[key] - short[key] for key in ("wall", "work"))
            row = {"processes": count, "load": short["load"], "validation": long["validation"]}
            row |= {"steps_per_second": arguments.steps / wall, "work_per_step": work / arguments.steps}
            rows.append(row)
            print(
                f"| {count} | {row['steps_per_second']:.2f} | {1000 * row['work_per_step']:.0f} | "
                f"{row['validation']:.6f} | {row['load']:.1f} of {os.cpu_count()} |",
                flush=True,
            )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")


def trained(arguments: argparse.Namespace, count: int, steps: int) -> dict[str, float]:
    """Seconds of the wall and of all processes, and the lowest validation loss."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        words = [
            "-m",
            "isthmus",
            "train",
            arguments.data,
            "--recipe",
            arguments.recipe,
            "--steps",
            str(steps),
        ]
        words += ["--set", f"optimiser.batch={arguments.batch}", "--seed", "0", "--patience", "0", "--json"]
        words += ["-o", str(Path(place) / "model.safetensors")]
        runner = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        command = [sys.executable, *words] if count == 1 else [*runner, *words]
        before, began = used(), time.monotonic()
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        wall, work = time.monotonic() - began, used() - before
    result = json.loads(done.stdout)
    return {"wall": wall, "work": work, "validation": result["best"]["validation"], "load": load}


def used() -> float:
    """Seconds of the processor that ended child processes have used, theirs included."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
