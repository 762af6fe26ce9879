"""`isthmus compare DATA --recipes A,B,C`: several recipes under one budget, one table."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from isthmus.api.training import describe_step as seen_now
from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_size, check_data
from isthmus.errors import UsageError
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table

if TYPE_CHECKING:
    from isthmus.training.progress import Listener, Progress


@click.command()
@click.argument("data")
@click.option("--recipes", required=True, metavar="A,B,C", help="Names or recipe files, separated by commas.")
@click.option(
    "--test", metavar="DATA", help="Images to measure on; by default a test split or a fifth of DATA."
)
@click.option("--code", metavar="C", help="The same code for all: 64 is a vector, 32@8 a grid at 1/8.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of every recipe."
)
@click.option("--epochs", type=float, metavar="N", help="Length of each training in passes over the images.")
@click.option("--minutes", type=float, metavar="M", help="Length of each training in time.")
@click.option("--steps", type=int, metavar="N", help="Length of each training in steps.")
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Trainings per recipe."
)
@click.option("--size", callback=as_size, metavar="HxW", help="Resize every image to this height and width.")
@click.option("--report", metavar="FILE.html", help="Write a page with the table and a picture.")
@force_option
@speaks
def command(
    console: Console,
    data: str,
    recipes: str,
    test: str | None,
    code: str | None,
    settings: tuple[str, ...],
    seeds: int,
    report: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Train several recipes on the images DATA alike and measure all of them on the same unseen images.

    PCA with a code of the same size and the mean image stand in the same table. With two or more seeds every
    number is a mean with its 95 % interval.

    \b
    isthmus compare fashion-sample --recipes conv,dense,recurrent --minutes 1
    isthmus compare photos/ --recipes conv,mine.toml --code 32@8 --seeds 3 --report compared.html
    """
    check_data(data)
    names = [name.strip() for name in recipes.split(",") if name.strip()]
    if not names:
        raise UsageError("--recipes names no recipe", hint="isthmus recipes")
    check_outputs(report, force=force)
    from isthmus.evaluation.comparison import compare

    with contextlib.ExitStack() as stack:

        def listener(name: str, seed: int) -> Listener:
            stack.pop_all().close()  # the bar of the training before this one
            label = f"{name}, seed {seed}" if seeds > 1 else name
            lines: list[Any] = []

            def on_step(progress: Progress) -> None:
                if not lines:
                    lines.append(stack.enter_context(console.progress(label, total=1.0)))
                lines[0].update(progress.share, seen_now(progress))

            return on_step

        found = compare(
            data,
            names,
            test=test,
            code=code,
            settings=settings,
            seeds=range(seeds),
            listener=listener,
            **options,
        )
    if report is not None:
        report = console.save(report, partial(found.report().write, report, force=force))
    console.emit(found.to_dict() | {"report": report})
    console.result(format_table(*found.table()))
    if report is not None:
        console.note(f"report: {report}")
