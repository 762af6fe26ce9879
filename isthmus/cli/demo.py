"""`isthmus demo`: train on the shipped images and try every use once; ends with a report."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from isthmus.api.training import describe_step as seen_now
from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.line import command_line
from isthmus.reports.tables import format_table

if TYPE_CHECKING:
    from isthmus.training.progress import Progress


@click.command()
@click.option(
    "-o", "--out", default="isthmus-demo", show_default=True, metavar="DIR", help="Folder for the files."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    metavar="M",
    help="About how long it takes.",
)
@force_option
@speaks
def command(console: Console, out: str, minutes: float, force: bool) -> None:
    """Train on the shipped images and try every use once.

    Needs no network and no images of yours. Writes the trained model and one page with pictures and numbers.
    """
    from isthmus.evaluation.demonstration.demo import demonstrate, short_table

    with contextlib.ExitStack() as stack:
        bars: list[Any] = []

        def on_step(progress: Progress) -> None:
            if not bars:
                bars.append(stack.enter_context(console.progress("training", total=1.0)))
            bars[0].update(progress.share, seen_now(progress))

        def say(text: str) -> None:
            stack.close()  # the bar has shown its last
            console.note(text)

        demo = demonstrate(out, minutes=minutes, force=force, on_step=on_step, say=say)
    lines = [command_line(words) for words in demo.next_commands]
    console.emit(
        {
            "schema": "isthmus.demo/1",
            "model": demo.model_path.as_posix(),
            "report": demo.report_path.as_posix(),
            **demo.numbers,
            "next": lines,
        }
    )
    if demo.evaluation is not None:
        console.result(format_table(*short_table(demo.evaluation)))
    console.result(f"model: {demo.model_path}\nreport: {demo.report_path}")
    console.suggest("try next:", lines)
