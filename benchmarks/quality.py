"""How well the recipes do what published examples do, within minutes: one row per number that is quoted.

    python benchmarks/quality.py                    every row, a bit more than an hour
    python benchmarks/quality.py mnist-conv-32      one row
    python benchmarks/quality.py --minutes 0.1      a quick look that every row runs

A row trains on the training split only (a part of it held out to validate on), evaluates once on the
test split, and prints the number beside its reference and target. Named sets are found or
downloaded as everywhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One number: how to get it, in how many minutes, what it is compared with, what it should be."""

    name: str
    data: str
    options: tuple[str, ...]
    metric: str
    target: float
    reference: str
    minutes: float = 4.5


# 26,069 parameters around a code of 7×7×32.
SMALL = ("--recipe", "conv", "--code", "32@4", "--set", "backbone.width=16,16", "--set", "backbone.blocks=1",
         "--set", "objective.image=bce")  # fmt: skip
NOISE = ("--set", "corruption=gaussian", "--set", "corruption.sigma=102", "--set", "corruption.clip=true")

ROWS = (
    Row("mnist-dense-32", "mnist",
        ("--recipe", "dense", "--code", "32", "--set", "backbone.width=none", "--set", "objective.image=bce",
         "--set", "optimiser.weight_decay=0.1", "--validation", "0.02"),
        "bce", 0.090, "Keras' blog, the same 784-32-784 after 50 epochs: 0.09"),
    Row("mnist-conv-32", "mnist", ("--recipe", "conv", "--code", "32"),
        "mse", 0.0032, "Hinton and Salakhutdinov 2006, 30 numbers: 0.0038"),
    Row("fashion-conv-32", "fashion-mnist", ("--recipe", "conv", "--code", "32"),
        "mse", 0.0075, "PCA with 32 components: 0.0151"),
    Row("mnist-conv-128", "mnist", ("--recipe", "conv", "--code", "128", "--set", "objective.image=bce"),
        "bce", 0.066, "Keras' blog, convolutional, code 128, 50 epochs: 0.094"),
    Row("mnist-small", "mnist", SMALL,
        "bce", 0.0612, "keras.io, 28,353 parameters, code 7×7×32, 50 epochs: 0.0622", 4),
    # Each block runs three times with the same weights: as few numbers, a wider view.
    Row("mnist-small-noisy", "mnist", (*SMALL, *NOISE, "--set", "backbone.repeats=3"),
        "bce", 0.080, "keras.io, the same on noise of 0.4, 100 epochs: 0.0839", 25),
    Row("mnist-variational-2", "mnist", ("--recipe", "variational", "--code", "2"),
        "elbo", -145.0, "keras.io, trained on train and test, 30 epochs: −146.95", 10),
)  # fmt: skip


def run(row: Row, minutes: float, seed: int, folder: Path, *, steps: int | None = None) -> dict[str, float]:
    """Train and evaluate one row; returns the test metrics and the wall seconds of training.

    Args:
        steps: length of the training in steps instead of `minutes`, in float32: the same on every machine.
    """
    model = folder / f"{row.name}.safetensors"
    common = [sys.executable, "-m", "isthmus"]
    length = (
        ["--minutes", str(minutes)] if steps is None else ["--steps", str(steps), "--precision", "float32"]
    )
    train = [*common, "train", row.data, *row.options, *length, "--seed", str(seed)]
    started = time.monotonic()
    subprocess.run([*train, "-o", str(model), "--json", "--force"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    evaluate = [*common, "evaluate", str(model), f"{row.data}:test", "--json"]
    answer = subprocess.run(evaluate, check=True, stdout=subprocess.PIPE)
    document = json.loads(answer.stdout)
    baselines = {f"{name}_mse": numbers["mse"] for name, numbers in document["baselines"].items()}
    return {**document["metrics"], **baselines, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help="names of rows; all of them when none is given")
    parser.add_argument("--minutes", type=float, help="training time of each row instead of its own")
    parser.add_argument("--steps", type=int, help="length of each training in steps instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows_by_name = {row.name: row for row in ROWS}
    unknown = [name for name in arguments.rows if name not in rows_by_name]
    if unknown:
        parser.error(f"no row {unknown[0]}; known: {', '.join(rows_by_name)}")
    chosen = [rows_by_name[name] for name in arguments.rows] or list(ROWS)
    print("| row | measured | target | | PCA mse | excess over the data's entropy | training | reference |")
    print("|---|---|---|---|---|---|---|---|")
    for row in chosen:
        with tempfile.TemporaryDirectory() as folder:
            minutes = arguments.minutes or row.minutes
            result = run(row, minutes, arguments.seed, Path(folder), steps=arguments.steps)
        # An ELBO is a bound from below: more is better.
        better = (
            result[row.metric] >= row.target if row.metric == "elbo" else result[row.metric] <= row.target
        )
        verdict = "reached" if better else "fell short"
        excess = f"{result['bce_excess']:.4f}" if row.metric == "bce" else "–"
        print(
            f"| {row.name} | {row.metric} {result[row.metric]:.5f} | {row.target} | {verdict} | "
            f"{result['pca_mse']:.4f} | {excess} | {result['seconds']:.0f} s, seed {arguments.seed} | "
            f"{row.reference} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
