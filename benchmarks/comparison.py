"""README's comparison: recipes under one budget with three seeds each, as a table and a picture.

python benchmarks/comparison.py docs/pictures/compare.png --minutes 1
isthmus compare fashion-sample --recipes conv,dense,…        (the same for your images)
"""

from __future__ import annotations

import argparse

from isthmus.api.comparison import compare
from isthmus.atomic import write_bytes

RECIPES = ("conv", "dense", "recurrent", "attention", "sparse", "contractive", "variational", "adversarial")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture")
    parser.add_argument("--data", default="fashion-sample")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    result = compare(options.data, options.recipes.split(","), seeds=options.seeds, minutes=options.minutes)
    header, rows = result.rows()
    print("|", " | ".join(header), "|\n|", " | ".join("---" for _ in header), "|", sep="")
    for row in rows:
        print("|", " | ".join("–" if cell is None else f"{cell}" for cell in row), "|", sep="")
    write_bytes(options.picture, result.draw())


if __name__ == "__main__":
    main()
