"""`isthmus direct MODEL --plus DATA --minus DATA -o D`: the direction of an attribute in the code."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model
from isthmus.errors import UsageError
from isthmus.outputs import check_outputs


@click.command()
@click.argument("model")
@click.option("--plus", metavar="DATA", help="Images that have the attribute.")
@click.option("--minus", metavar="DATA", help="Images that have it not.")
@click.option("--data", metavar="DATA", help="Labelled images, instead of two groups.")
@click.option("--class", "name", metavar="NAME", help="With --data: the class to go towards.")
@click.option("--from", "start", metavar="NAME", help="With --data: the class to start from, else others.")
@click.option("-o", "--out", required=True, metavar="FILE", help="The direction, a .safetensors file.")
@click.option(
    "--method",
    type=click.Choice(["means", "discriminant"]),
    default="means",
    show_default=True,
    help="From mean to mean, or Fisher's discriminant, which leaves other variation alone.",
)
@force_option
@speaks
def command(
    console: Console,
    model: str,
    plus: str | None,
    minus: str | None,
    data: str | None,
    name: str | None,
    start: str | None,
    out: str,
    method: str,
    force: bool,
) -> None:
    """Learn a direction in the code of MODEL from two groups of images, for isthmus transform.

    One step along it leads from the middle of one group to the middle of the other. AUC says how well it
    tells the groups apart: 1 perfectly, ½ not at all.
    """
    groups = plus is not None and minus is not None and (data, name, start) == (None, None, None)
    classes = data is not None and name is not None and (plus, minus) == (None, None)
    if not groups and not classes:
        raise UsageError(
            "give either --plus and --minus, or --data and --class",
            hint="isthmus direct MODEL --plus DATA --minus DATA -o FILE",
        )
    autoencoder = load_model(model)
    from isthmus.generation.directions import direction, of_class, without_class
    from isthmus.images.reading import read

    check_outputs(out, force=force)
    if data is not None and name is not None:
        images = read(check_data(data))
        high = of_class(images, name)
        low = without_class(images, name) if start is None else of_class(images, start)
        skipped = images.skipped
    else:
        high, low = read(check_data(plus or "")), read(check_data(minus or ""))
        skipped = (*high.skipped, *low.skipped)
    found = direction(autoencoder, high, low, method=method)
    if classes:
        found.facts.update(plus=f"{data}: {name}", minus=f"{data}: {start or 'all others'}")
    found.save(out, force=force)
    facts = {**found.facts, "model": model}
    console.emit({"schema": "isthmus.direct/1", "out": out, **facts, "skipped": as_json(skipped)})
    console.result(
        f"direction from {len(low):,} to {len(high):,} images written to {out} (AUC {found.facts['auc']:.3f})"
    )
    end_with_skipped(console, skipped)
