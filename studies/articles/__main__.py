"""Every number and picture of docs/research/articles/: five published descriptions, and what they ask.

    python studies/articles                     everything, about an hour on one core
    python studies/articles 001                 one part
    python studies/articles 003 --stop-after 4  trains no further model after four minutes
    python studies/articles --tables            writes the page's tables anew, measures nothing
    python studies/articles --steps 100 --seed 1 --results R --models M --pictures P
                                                   another seed, a fixed number of steps in each training

What a part has measured is written to results/PART.json as soon as it is known and never measured twice:
run the same command again to go on, or delete the file to begin anew. Models are kept in --models, pictures
are drawn once all of a part's numbers are there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import collapsed
import generation
import optimisers
import penalty
import questions
import sparsity
from study import OutOfTimeError, Study
from tables import with_tables

from isthmus.atomic import write_text

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "research" / "articles"
PARTS: dict[str, Callable[[Study], None]] = {
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="all of them when none is given")
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables of docs/research/articles/"
    )
    parser.add_argument("--stop-after", type=float, default=1e9, metavar="MINUTES")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--pictures", type=Path, default=HERE.parents[1] / "docs" / "pictures")
    parser.add_argument("--models", type=Path, default=Path("articles-models"))
    parser.add_argument("--steps", type=int, help="of each training, in float32, instead of its own length")
    parser.add_argument("--seed", type=int, default=0, help="added to the seed of each training")
    arguments = parser.parse_args()
    defaults = {"results": HERE / "results", "models": Path("articles-models")}
    changed = arguments.steps is not None or arguments.seed != 0
    if changed and any(getattr(arguments, name) == folder for name, folder in defaults.items()):
        parser.error(
            "--steps and --seed give other numbers: name other folders (--results, --models, --pictures)"
        )
    if arguments.tables:
        for page in PAGES.glob("*.md"):
            write_text(page, with_tables(page.read_text("utf-8"), arguments.results))
        return
    until = time.monotonic() + 60 * arguments.stop_after
    try:
        for name in arguments.parts or PARTS:
            folders = arguments.results, arguments.pictures, arguments.models
            PARTS[name](Study(name, *folders, until, steps=arguments.steps, seed=arguments.seed))
            print(f"{name} is complete", flush=True)
    except OutOfTimeError as error:
        print(f"{error}: run the same command again to go on", flush=True)


if __name__ == "__main__":
    main()
