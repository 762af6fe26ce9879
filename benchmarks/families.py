"""Does every family learn at once: each named recipe, twenty seconds of training, beside the mean image.

    python benchmarks/families.py                  all families on Fashion-MNIST, about six minutes
    python benchmarks/families.py sparse attention

Trained on the training split with each recipe's own defaults, seed 0; squared error on the test split. Those
with a corruption are measured on corrupted images against the clean ones, as `isthmus evaluate` does.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from quality import Row, run

from isthmus.model.recipes import FAMILIES

MINUTES = 20 / 60
CLEARLY = 0.5  # at most half the error of the mean image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", help="names; all of them when none is given")
    parser.add_argument("--data", default="fashion-mnist")
    arguments = parser.parse_args()
    print("| recipe | mse after 20 s | mean image | share | |")
    print("|---|---|---|---|---|")
    for name in arguments.recipes or list(FAMILIES):
        row = Row(name, arguments.data, ("--recipe", name), "mse", 0.0, "")
        with tempfile.TemporaryDirectory() as folder:
            result = run(row, MINUTES, 0, Path(folder))
        share = result["mse"] / result["mean_image_mse"]
        verdict = "clearly better" if share <= CLEARLY else "not clearly better"
        print(
            f"| {name} | {result['mse']:.4f} | {result['mean_image_mse']:.4f} | {share:.2f} | {verdict} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
