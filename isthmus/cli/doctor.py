"""`isthmus doctor [MODEL [DATA]]`: what this machine offers, or how the training of a model went."""

from __future__ import annotations

from typing import Any

import click

from isthmus.api.diagnosis import diagnose
from isthmus.api.machine_report import check_machine
from isthmus.cli.console import Console
from isthmus.cli.line import option_name
from isthmus.cli.output_options import output_options
from isthmus.cli.show import show
from isthmus.cli.types import RANGE


@click.command()
@click.argument("model", required=False)
@click.argument("data", required=False)
@click.option("--target", metavar="DATA", help="What images of DATA should become, for a model of pairs.")
@click.option("--limit", type=int, help="Examine MODEL on at most this many images of DATA, evenly spaced.")
@click.option("--range", type=RANGE, metavar=RANGE.pattern, help="Samples of DATA that are black and white.")
@click.option("--seed", type=int, help="Of what is drawn in examining DATA.")
@output_options
def command(console: Console, model: str | None, data: str | None, **options: Any) -> None:
    """Examine this machine, or the training of MODEL.

    Without arguments: versions, processor, memory, device, the speed of bf16 and float32, where data sets are
    found and which extras are installed, each with a verdict. Takes a few seconds, for the speed is measured.

    With MODEL: problems at the end of its training (dead units, posterior collapse, over-fitting,
    a learning rate far off, …), each with a setting to try. With DATA the model is examined again on these
    images; best are images that it was not trained on.
    """
    values = {name: value for name, value in options.items() if value is not None}
    if data is None and values:
        raise click.UsageError(f"{option_name(next(iter(values)))} has no effect without DATA")
    if model is None:
        show(console, check_machine())
        return
    show(console, diagnose(model, data, progress=console, **values))
