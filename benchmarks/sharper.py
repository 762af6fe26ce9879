"""Whether a critic makes samples better than `variational` does, at equal code and time.

    python benchmarks/sharper.py                     about fifteen minutes on one core
    python benchmarks/sharper.py --minutes 0.05 --count 200

Fashion-MNIST, code 32, the same minutes each; samples of each recipe's own prior, the standard normal, and
of a Gaussian mixture over its codes. One table beside real images, and one picture. `detail` is the energy at
high frequencies (`isthmus.metrics.structure`) over that of real images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import isthmus
from isthmus.evaluation.generation import Row, evaluate_generation
from isthmus.generation.prior_store import read_prior
from isthmus.metrics.structure import high_frequency_energy
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.tables import format_table

RECIPES = ("variational", "adversarial", "vae-gan")
HEADER = ["images", "FD", "relative", "energy", "1-NN", "precision", "recall", "detail", "steps"]
KINDS = ("normal", "mixture")


def detail(pixels: np.ndarray) -> float:
    return float(high_frequency_energy(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).mean())


def line(name: str, row: Row, floor: float, bar: float, crisp: float, steps: int | None) -> list[Any]:
    share = (row.frechet - floor) / (bar - floor)
    numbers = [row.energy, row.two_sample, row.precision, row.recall]
    return [name, row.frechet, share, *numbers, crisp, steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--features")
    parser.add_argument("--out", type=Path, default=Path("sharper"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    test = isthmus.read(f"{arguments.data}:test")
    real = detail(test.stack(range(1000)))
    rows: list[list[Any]] = []
    strips = [("real images", test.stack(range(10)))]
    floor = bar = 0.0
    for number, name in enumerate(RECIPES):
        path = arguments.out / f"{name}.safetensors"
        if path.exists():
            model = isthmus.load(path)
        else:
            model = isthmus.train(arguments.data, recipe=name, code="32", minutes=arguments.minutes, out=path)
        isthmus.fit_prior(model, arguments.data, kind="mixture")
        isthmus.fit_prior(model, arguments.data, kind="normal")
        result = evaluate_generation(
            model, test, train=arguments.data, priors=[read_prior(model, kind) for kind in KINDS],
            features=arguments.features, count=arguments.count, bar=number == 0,
        )  # fmt: skip
        if number == 0:
            floor, bar = result.rows[0].frechet, result.rows[1].frechet
            rows += [line(row.name, row, floor, bar, 1.0, None) for row in result.rows[:1]]
        for kind, row in zip(KINDS, result.rows[-2:], strict=True):
            made = isthmus.generate(model, 1000, prior=kind, seed=1).pixels
            title = f"{name}, {kind} prior"
            rows.append(line(title, row, floor, bar, detail(made) / real, model.summary["steps"]))
            strips.append((title, made[:10]))
        print(format_table(HEADER, rows), flush=True)
    (arguments.out / "sharper.json").write_text(json.dumps({"header": HEADER, "rows": rows}, indent=1))
    (arguments.out / "sharper.png").write_bytes(draw_image_rows(strips))


if __name__ == "__main__":
    main()
