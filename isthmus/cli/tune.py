"""`isthmus tune DATA --over KEY=V1,V2`: settings compared by cross-validation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_size, check_data
from isthmus.cli.line import command_line
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.evaluation.selection.log import Trial


@click.command()
@click.argument("data")
@click.option(
    "--over", multiple=True, metavar="KEY=V1,V2,…", help="Values of a setting, or a range KEY=LOW..HIGH."
)
@click.option("--recipe", default="conv", show_default=True, metavar="R", help="What all trials start from.")
@click.option("--code", metavar="C", help="Shape of the code: 64 is a vector, 32@8 a grid at 1/8.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of every trial.")
@click.option(
    "--objective",
    default="reconstruction",
    show_default=True,
    metavar="A[,B]",
    help="reconstruction, probe, rate, sparsity, numbers, or any metric of evaluate; two: a Pareto front.",
)
@click.option(
    "--folds", type=click.IntRange(2), default=3, show_default=True, help="Of the cross-validation."
)
@click.option(
    "--search",
    type=click.Choice(["grid", "random", "optuna"]),
    default="grid",
    show_default=True,
    help="optuna learns from the trials before, and gives up bad ones.",
)
@click.option(
    "--trials", type=click.IntRange(1), default=20, show_default=True, help="How many; not for a grid."
)
@click.option("--budget", type=float, metavar="M", help="Minutes for everything.")
@click.option("--epochs", type=float, metavar="N", help="Length of each training in passes over the images.")
@click.option("--minutes", type=float, metavar="M", help="Length of each training in time.")
@click.option("--steps", type=int, metavar="N", help="Length of each training in steps.")
@click.option("--size", callback=as_size, metavar="HxW", help="Resize every image to this height and width.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of folds, weights and random points.")
@click.option("-o", "--out", metavar="LOG", help="A line per trial; by default DATA-tune.jsonl.")
@click.option("--report", metavar="FILE.html", help="Write a page with the table and the front.")
@force_option
@speaks
def command(
    console: Console,
    data: str,
    over: tuple[str, ...],
    objective: str,
    folds: int,
    budget: float | None,
    out: str | None,
    report: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Try settings on the images DATA, and say which are best.

    Every trial is trained and measured on the same folds. The log has a line per trial, and the same command
    goes on from it after an interruption, or with more values. --force begins anew.

    \b
    isthmus tune fashion-sample --recipe sparse --over bottleneck.k=8,16,32 --budget 10
    isthmus tune photos/ --over code=16,32,64 --objective reconstruction,numbers --report front.html
    isthmus tune photos/ --over optimiser.rate=1e-4..1e-2 --search random --trials 10
    """
    check_data(data)
    check_outputs(report, force=force)
    from isthmus.evaluation.selection.outcome import label, shown
    from isthmus.evaluation.selection.search import tune

    names = [name for name in objective.split(",") if name.strip()]
    path = out if out is not None else f"{Path(data).name.replace(':', '-') or 'data'}-tune.jsonl"
    with console.progress("tuning", total=1.0) as line:

        def listener(trial: Trial, done: int, total: int) -> None:
            said = "  ".join(f"{name} {shown(values)}" for name, values in trial.scores.items())
            line.update(done / max(total, 1), f"{label(trial)}  {said}")
            if trial.finished:
                console.note(f"{label(trial)}: {said or trial.why} ({trial.state}, {trial.seconds:.0f} s)")

        found = tune(
            data,
            over,
            objectives=names,
            folds_count=folds,
            budget=budget,
            out=path,
            force=force,
            listener=listener,
            **options,
        )
    if report is not None:
        report = console.save(report, partial(found.page().write, report, force=force))
    console.emit(found.to_dict() | {"log": path, "report": report})
    console.result(format_table(*found.table()))
    if not found.complete:
        console.result(
            f"the time was up after {format_count(len(found.trials), 'trial')}: the same command goes "
            f"on from {path}"
        )
    best = found.front()
    if best:
        words = ["train", data, "--recipe", options["recipe"]]
        words += ["--code", options["code"]] if options["code"] else []
        shared = [*options["settings"], *(f"{key}={value}" for key, value in best[0].point.items())]
        words += [word for setting in shared for word in ("--set", setting)]
        console.suggest("try next:", [command_line(words)])
