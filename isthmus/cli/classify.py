"""`isthmus classify MODEL TRAIN TEST`: how well labels can be read off a model's features."""

from __future__ import annotations

from functools import partial

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model
from isthmus.escaping import csv_text
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table


@click.command()
@click.argument("model")
@click.argument("train")
@click.argument("test")
@click.option("--layer", metavar="NAME", help="Read this stage of the encoder instead; code is one.")
@click.option(
    "--neighbours",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Of the nearest-neighbour vote.",
)
@click.option(
    "--few", type=click.IntRange(0), default=10, show_default=True, help="Labels per class; 0 for none."
)
@click.option(
    "--draws", type=click.IntRange(1), default=5, show_default=True, help="Draws of the few labels."
)
@click.option("--baselines/--no-baselines", default=True, help="PCA and pixels in the same table.")
@click.option("--picture", metavar="FILE.png", help="Draw the confusion of the linear probe.")
@click.option("-o", "--out", metavar="FILE.csv", help="Write the class of every test image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of draws and held-out parts.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    train: str,
    test: str,
    layer: str | None,
    neighbours: int,
    few: int,
    draws: int,
    baselines: bool,
    picture: str | None,
    out: str | None,
    seed: int,
    force: bool,
) -> None:
    """Learn the labels of TRAIN from MODEL's features, and measure on TEST.

    The model has not seen the labels. A linear probe and a nearest-neighbour vote use all of them; few-label
    columns use some per class: a linear probe, and labels that are spread over the other, unlabelled images.

    \b
    isthmus classify features.safetensors mnist:train mnist:test --picture confusion.png
    """
    check_data(train)
    check_data(test)
    check_outputs(picture, out, force=force)
    network = load_model(model)
    from isthmus.atomic import write_bytes, write_text
    from isthmus.evaluation.readouts import readout_for
    from isthmus.features.classify import classify
    from isthmus.features.contenders import SEEN
    from isthmus.model.reading import read_for

    first, second = read_for(network, train), read_for(network, test)
    readout, note = readout_for(network, first, layer=layer)
    if note is not None:
        console.note(note)
    found = classify(
        network,
        readout,
        first,
        second,
        neighbours=neighbours,
        few=few,
        draws=draws,
        seen=SEEN if baselines else SEEN[:2],
        seed=seed,
        say=console.note,
    )
    if picture is not None:
        from isthmus.evaluation.drawing.confusion import confusion_picture

        drawn = confusion_picture(found.confusion, found.classes)
        picture = console.save(picture, partial(write_bytes, picture, drawn, force=force))
    if out is not None:
        lines = [
            (name, found.classes[index], f"{chance:.4f}")
            for name, index, chance in zip(second.names, found.predicted, found.confidence, strict=True)
        ]
        text = csv_text(("name", "class", "probability"), lines)
        out = console.save(out, partial(write_text, out, text, force=force))
    own, *others = found.rows
    skipped = (*first.skipped, *second.skipped)
    console.emit(
        {
            "schema": "isthmus.classify/1",
            "model": model,
            "layer": readout.reading.layer,
            "train_images": found.train_images,
            "test_images": found.test_images,
            "classes": found.classes,
            **own.to_dict(),
            "few_labels": few,
            "neighbours": neighbours,
            "baselines": {row.name: row.to_dict() for row in others},
            "confusion": found.confusion,
            "picture": picture,
            "out": out,
            "skipped": as_json(skipped),
        }
    )
    header = ["seen as", "numbers", "linear %", f"{neighbours}-NN %"]
    header += [f"{few} labels, linear %", f"{few} labels, spread %"] if few else []
    rows = []
    for row in found.rows:
        shares = [row.linear, row.knn, *([row.few_linear, row.few_spread] if few else [])]
        rows.append([row.name, row.numbers, *(None if s is None else round(100 * s, 2) for s in shares)])
    console.result(format_table(header, rows))
    for path in filter(None, (picture, out)):
        console.note(f"written: {path}")
    end_with_skipped(console, skipped)
