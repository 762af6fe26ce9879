"""Time until a held-out loss is reached: Isthmus' default recipe, Keras' own example, pythae's network.

    python benchmarks/time_to_quality.py --folder speed               about twenty minutes on one core
    python benchmarks/time_to_quality.py --folder speed --minutes 0.2 a look

Cross-entropy .094 on MNIST at code 128, what Keras' convolutional example reports after 50 epochs, and
squared error .0105 on Fashion-MNIST at code 32. The last 5,000 training images are held out, the first 1,000
of them are looked at. A contender has --minutes; one that never gets there counts with all of them as a lower
bound.
Results go to FOLDER/quality.json and FOLDER/quality.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from speed.environments import python_of
from speed.quality_table import table

import isthmus
from isthmus.atomic import write_text

HERE = Path(__file__).parent
TASKS = {"bce-128": ("mnist", 0.094), "mse-32": ("fashion-mnist", 0.0105)}
HELD_OUT = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("speed"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--contenders", default="Isthmus,Keras,pythae")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each contender on each task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--core", type=int, help="run everything on this core (Linux)")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    arguments.folder.mkdir(parents=True, exist_ok=True)
    results = arguments.folder / "quality.json"
    table_of_results: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    for task in arguments.tasks.split(","):
        for contender in arguments.contenders.split(","):
            result = measured(task, contender, arguments.folder, arguments.minutes, arguments.threads)
            table_of_results.setdefault(task, {})[contender] = result
            write_text(results, json.dumps(table_of_results, indent=1))
            write_text(arguments.folder / "quality.md", table(table_of_results))
            print(table(table_of_results), flush=True)


def measured(task: str, contender: str, folder: Path, minutes: float, threads: int) -> Mapping[str, Any]:
    """One contender on one task, in a process of its own."""
    source, target = TASKS[task]
    train, held_out = folder / f"{source}-train.npy", folder / f"{source}-held-out.npy"
    if not train.exists():
        pixels = isthmus.read(source).pixels
        np.save(held_out, pixels[-HELD_OUT:])
        np.save(train, pixels[:-HELD_OUT])
    script, python = HERE / "speed" / "isthmus_quality.py", sys.executable
    if contender != "Isthmus":
        script, python = (
            HERE / "peers" / f"{contender.lower()}_quality.py",
            python_of(contender.lower(), folder),
        )
    clock = "busy" if threads == 1 else "wall"
    words = [python, str(script), task, str(train), str(held_out), str(target), str(minutes), clock]
    limits = {key: str(threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with (folder / f"quality-{task}-{contender}.log").open("w") as log:
        done = subprocess.run(
            words, check=True, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **limits}
        )
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer | {"target": target}


if __name__ == "__main__":
    main()
