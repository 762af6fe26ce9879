"""The part of a report that is about new images."""

from __future__ import annotations

from isthmus.evaluation.drawing.pictures import before_after
from isthmus.evaluation.generation import Generation
from isthmus.evaluation.report.page import Report

SECTION = "New images"
COLUMNS, ROWS = 10, 3


def add_generation(report: Report, made: Generation) -> None:
    """Samples, the table beside real images, and the samples that are nearest to a training image."""
    strips = [made.samples[start : start + COLUMNS] for start in range(0, COLUMNS * ROWS, COLUMNS)]
    titles = [f"drawn with seed {made.seed}", *("",) * (ROWS - 1)]
    report.picture(
        SECTION,
        before_after(
            [(title, strip) for title, strip in zip(titles, strips, strict=True) if len(strip)],
            columns=COLUMNS,
        ),
        "New images: codes drawn from the prior and decoded; none was chosen or left out.",
        "Rows of generated images.",
    )
    header, table = made.table()
    report.table(
        SECTION,
        header,
        table,
        note=f"{made.images:,} images of each kind against as many test images, in the features of "
        f"{_named(made)}. FD and energy: lower is better; 1-NN: ½ is best; relative FD: 0 at real training "
        "images, 1 at the Gaussian mixture of pixels.",
    )
    memory, pairs = made.memory, made.memory.pairs
    report.picture(
        SECTION,
        before_after(
            [("new images …", pairs[:, 0]), ("… and the nearest training image of each", pairs[:, 1])]
        ),
        f"The {len(pairs)} of {memory.images:,} new images that lie nearest to a training image. The median "
        f"distance is {memory.ratio:.3g} times that of unseen real images; {memory.copied:.1%} are nearer "
        "than all but 1 % of those.",
        "Two rows of images: new ones and their nearest training images.",
    )


def _named(made: Generation) -> str:
    facts = made.features
    if facts.get("kind") != "classifier":
        return "the training images' principal components"
    return (
        f"a classifier of {facts['data']} ({facts['test_accuracy']:.2%} right on its test split, "
        f"hash {facts['hash']})"
    )
