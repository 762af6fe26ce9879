"""The numbers of the claims, article and quality benchmarks at a fixed number of steps, to compare versions.

    python benchmarks/regression.py -o benchmarks/results/0.1          measures seeds 0, 1 and 2
    python benchmarks/regression.py -o new --compare benchmarks/results/0.1
                                                                       measures, then compares

Minutes depend on the machine, so every training here takes the same number of steps in float32, and every
data set is the first part of a named one. The numbers are worse than those of the benchmarks themselves; they
only say whether a later version gives others. One JSON file is written for each seed. It is updated after
every measurement, and a measurement that it holds is not repeated: the same command continues.

`--compare FOLDER` prints each number whose mean over the seeds lies outside two standard errors of the mean
of the same seeds in FOLDER, and exits with status 1 if there is one. Two standard errors of three seeds are a
narrow band: with unchanged code and seeds the numbers are equal up to rounding, and a number that was changed
deliberately has to be judged in its benchmark.

MNIST, Fashion-MNIST and CIFAR-10 are found or downloaded as by `isthmus.read`. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import isthmus
from isthmus.atomic import write_text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "studies" / "articles"))

import claims  # noqa: E402
import quality  # noqa: E402

SEEDS = (0, 1, 2)
STANDARD_ERRORS = 2.0
ROUNDING = 1e-9  # relative; where the seeds agree exactly, the standard error is 0
TIMES = ("seconds", "core_seconds")
SLOW = ("claims/corrupted", "quality/mnist-small-noisy")


@dataclass(frozen=True)
class Protocol:
    """What has to be equal for two results to be comparable."""

    steps: int = 100
    slow_steps: int = 40  # of the measurements in SLOW, whose steps take several times as long
    train_images: int = 16_000
    test_images: int = 2_000
    threads: int = 1
    precision: str = "float32"

    def steps_of(self, name: str) -> int:
        """Steps of each training of one measurement."""
        return min(self.steps, self.slow_steps) if name in SLOW else self.steps


@dataclass
class Results:
    """The numbers of one seed and the file that holds them."""

    path: Path
    protocol: Protocol
    seed: int
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    complete: bool = False

    def __post_init__(self) -> None:
        if not self.path.exists():
            return
        document = json.loads(self.path.read_text("utf-8"))
        if document["protocol"] != asdict(self.protocol):
            raise SystemExit(f"{self.path} was measured with another protocol: {document['protocol']}")
        self.numbers, self.seconds = document["numbers"], document["seconds"]
        self.complete = document["complete"]

    def measure(self, name: str, work: Callable[[], dict[str, dict[str, float]]]) -> None:
        """Add the numbers of `work()`, unless the file already holds those of `name`."""
        if name in self.seconds:
            return
        began = time.process_time() + os.times().children_user
        self.numbers |= work()
        self.seconds[name] = round(time.process_time() + os.times().children_user - began, 1)
        self.write()
        print(f"seed {self.seed} | {name} | {self.seconds[name]} s", flush=True)

    def write(self) -> None:
        document = {
            "versions": {
                "isthmus": isthmus.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
            },
            "protocol": asdict(self.protocol),
            "seed": self.seed,
            "complete": self.complete,
            "seconds": self.seconds,
            "numbers": self.numbers,
        }
        write_text(self.path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def write_parts(folder: Path, protocol: Protocol) -> None:
    """Write the first images of each named set to `folder`, as the files `isthmus.read` looks for."""
    for name in ("mnist", "fashion-mnist"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for split, prefix, count in (
            ("train", "train", protocol.train_images),
            ("test", "t10k", protocol.test_images),
        ):
            images = isthmus.read(f"{name}:{split}").subset(range(count))
            assert images.labels is not None
            pixels = images.stack(range(count))[..., 0]
            write_idx(folder / name / f"{prefix}-images-idx3-ubyte", pixels)
            write_idx(folder / name / f"{prefix}-labels-idx1-ubyte", np.asarray(images.labels, np.uint8))
    images = isthmus.read("cifar10").subset(range(protocol.train_images))
    (folder / "cifar10").mkdir(exist_ok=True)
    np.savez(
        folder / "cifar10" / "cifar10.npz", images=images.stack(range(len(images))), labels=images.labels
    )


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 values as an idx file."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + np.ascontiguousarray(array, np.uint8).tobytes())


def measure_claims(results: Results, folder: Path) -> None:
    """Every claim; numbers by family and name."""

    def numbers_of(name: str) -> dict[str, dict[str, float]]:
        steps = results.protocol.steps_of(f"claims/{name}")
        bench = claims.Bench(0, folder / "claims", steps, results.seed)
        numbers: dict[str, dict[str, float]] = {}
        for line in claims.CLAIMS[name](bench):
            numbers.setdefault(f"claims/{line.family}", {}).update(line.numbers)
        return numbers

    for name in claims.CLAIMS:
        results.measure(f"claims/{name}", partial(numbers_of, name))


def measure_quality(results: Results, folder: Path) -> None:
    """Every row of the quality benchmark."""
    (folder / "quality").mkdir(exist_ok=True)

    def numbers_of(row: quality.Row) -> dict[str, dict[str, float]]:
        steps = results.protocol.steps_of(f"quality/{row.name}")
        result = quality.run(row, 0, results.seed, folder / "quality", steps=steps)
        return {f"quality/{row.name}": dict(flatten(result))}

    for row in quality.ROWS:
        results.measure(f"quality/{row.name}", partial(numbers_of, row))


def measure_articles(results: Results, folder: Path) -> None:
    """Every part of the study of articles, with its test images cut to the protocol's number."""
    import collapsed
    import generation
    import optimisers
    import penalty
    import questions
    import sparsity
    from study import Study

    parts: dict[str, Callable[[Study], None]] = {
        "000": collapsed.run,
        "001": generation.run,
        "002": penalty.run,
        "003": sparsity.run,
        "004": optimisers.run,
        "kinds": questions.kinds,
        "generative": questions.generative,
        "positions": questions.positions,
        "overfitting": questions.overfitting,
        "depth": questions.depth,
    }
    base = folder / "articles"

    def numbers_of(name: str) -> dict[str, dict[str, float]]:
        steps, seed = results.protocol.steps_of(f"articles/{name}"), results.seed
        folders = base / "results", base / "pictures", base / "models"
        study = Study(name, *folders, math.inf, steps=steps, seed=seed)
        parts[name](study)
        return {f"articles/{name}/{cell}": dict(flatten(row)) for cell, row in study.cells.items()}

    for name in parts:
        results.measure(f"articles/{name}", partial(numbers_of, name))


def flatten(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a nested row that say something about quality: no times, settings or histories."""
    for key, value in row.items():
        if key in (*TIMES, "settings", "history"):
            continue
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, float(value)


# ---------------------------------------------------------------- comparing


@dataclass(frozen=True)
class Difference:
    """One number of two versions: means over the seeds, and the standard error of the older mean."""

    name: str
    before: float
    after: float
    error: float

    @property
    def outside(self) -> bool:
        """Whether the newer mean lies more than two standard errors from the older one."""
        if not math.isfinite(self.after):
            return math.isfinite(self.before)
        allowed = max(STANDARD_ERRORS * self.error, ROUNDING * abs(self.before))
        return not abs(self.after - self.before) <= allowed


def read_numbers(folder: Path) -> dict[int, dict[str, float]]:
    """Numbers of each seed in `folder`, by `measurement: number`."""
    numbers_by_seed = {}
    for path in sorted(folder.glob("seed-*.json")):
        document = json.loads(path.read_text("utf-8"))
        if not document["complete"]:
            raise SystemExit(f"{path} is not complete: run its command again")
        numbers_by_seed[int(document["seed"])] = {
            f"{row}: {name}": value
            for row, numbers in document["numbers"].items()
            for name, value in numbers.items()
        }
    if not numbers_by_seed:
        raise SystemExit(f"{folder} holds no seed-*.json")
    return numbers_by_seed


def compare(before: dict[int, dict[str, float]], after: dict[int, dict[str, float]]) -> list[Difference]:
    """Each number of `before`; one that `after` lacks has a mean of NaN there."""
    differences = []
    for name in sorted(next(iter(before.values()))):
        old = [numbers[name] for numbers in before.values() if name in numbers]
        new = [after[seed].get(name, math.nan) for seed in before if seed in after]
        error = statistics.stdev(old) / math.sqrt(len(old)) if len(old) > 1 else 0.0
        mean = statistics.fmean(new) if new else math.nan
        differences.append(Difference(name, statistics.fmean(old), mean, error))
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of seed-N.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--steps", type=int, default=Protocol.steps, help="of every training")
    parser.add_argument("--work", type=Path, help="folder for data and models (default: temporary)")
    parser.add_argument("--compare", type=Path, metavar="FOLDER", help="results of another version")
    arguments = parser.parse_args()
    torch.set_num_threads(Protocol.threads)
    protocol = Protocol(steps=arguments.steps)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        for seed in arguments.seeds:
            results = Results(arguments.out / f"seed-{seed}.json", protocol, seed)
            if results.complete:
                continue
            if not (work / "data" / "cifar10" / "cifar10.npz").exists():
                write_parts(work / "data", protocol)
            os.environ["ISTHMUS_DATA"] = str(work / "data")
            folder = work / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            for measure in (measure_claims, measure_quality, measure_articles):
                measure(results, folder)
            results.complete = True
            results.write()
            for cache in (claims.measured, claims.test_set):
                cache.cache_clear()
    if arguments.compare is not None:
        before, after = read_numbers(arguments.compare), read_numbers(arguments.out)
        differences = compare(before, after)
        outside = [difference for difference in differences if difference.outside]
        for difference in outside:
            band = STANDARD_ERRORS * difference.error
            print(
                f"{difference.name}: {difference.before:.6g} ± {band:.2g} before, {difference.after:.6g} now"
            )
        print(f"{len(outside)} of {len(differences)} numbers lie outside {STANDARD_ERRORS:g} standard errors")
        sys.exit(1 if outside else 0)


if __name__ == "__main__":
    main()
