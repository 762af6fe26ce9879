"""`isthmus audit DATA [--against DATA]`: is this set fit to train and test on?"""

from __future__ import annotations

from functools import partial

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table


@click.command()
@click.argument("data")
@click.option("--against", metavar="DATA", help="The other split: what is in both is a leak.")
@click.option(
    "--groups",
    metavar="FILE|REGEX",
    help="Images of one origin: lines name,group, or a pattern of names whose (first group) is the origin.",
)
@click.option(
    "--model", metavar="MODEL", help="Judge labels by this model's features, not by principal components."
)
@click.option("--report", metavar="FILE.html", help="Write a page with pictures of what was found.")
@click.option("--write", metavar="LIST", help="Write the names of the clean images, for train --only LIST.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the distortions that limits are found by."
)
@force_option
@speaks
def command(
    console: Console,
    data: str,
    against: str | None,
    groups: str | None,
    model: str | None,
    report: str | None,
    write: str | None,
    seed: int,
    force: bool,
) -> None:
    """Examine the images DATA before training on them.

    Looks for exact and near duplicates (crops to 5 % at each edge, mirror images, JPEG, brightness), within
    DATA and across to the images of --against; for origins in both sets; for unreadable, constant, flat,
    clipped and odd images; for uneven classes; and for labels that an image's neighbours disagree with.

    \b
    isthmus audit photos/ --report audit.html
    isthmus audit mnist --against mnist:test --write clean.txt
    isthmus train mnist --only clean.txt
    """
    check_data(data)
    check_outputs(report, write, force=force)
    from isthmus.atomic import write_text
    from isthmus.escaping import for_terminal, list_line
    from isthmus.evaluation.audit.audit import audit
    from isthmus.evaluation.audit.page import audit_page, remarks, summary

    autoencoder = None
    if model is not None:
        from isthmus.cli.inputs import load_model

        autoencoder = load_model(model)
    with console.progress("examining", total=1.0) as line:
        found = audit(
            data, against=against, groups=groups, model=autoencoder, seed=seed, listener=line.update
        )
    if report is not None:
        report = console.save(report, partial(audit_page(found).write, report, force=force))
    if write is not None:
        lines = "".join(f"{list_line(name)}\n" for name in found.clean)
        write = console.save(write, partial(write_text, write, lines, force=force))
    skipped = (*found.images.skipped, *(() if found.against is None else found.against.skipped))
    console.emit(found.to_dict() | {"report": report, "write": write, "skipped": as_json(skipped)})
    console.result(format_table(("what", "found"), summary(found)))
    for remark in remarks(found):
        console.result(for_terminal(remark))
    if report is not None:
        console.note(f"report: {report}")
    if write is not None:
        console.note(f"clean list: {write}")
    end_with_skipped(console, skipped)
