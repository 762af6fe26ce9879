"""`isthmus anomalies MODEL DATA`: which images are unusual, and where."""

from __future__ import annotations

import math
from functools import partial

import click

from isthmus.cli.console import Console, force_option, speaks, table
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.errors import DataError
from isthmus.escaping import csv_text
from isthmus.outputs import check_output, check_outputs
from isthmus.wording import choose_word, format_count


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--normal", metavar="DATA", help="Normal images; by default those the model was trained on.")
@click.option(
    "--score",
    type=click.Choice(["density", "mixture", "neighbour", "local", "reconstruction"]),
    help="What is unusual: see docs/features.md; default: what --store kept, or density.",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of normal images that may be flagged; default: what --store kept, or 0.01.",
)
@click.option(
    "--tiles/--no-tiles", default=None, help="Cut larger pictures into pieces; default: if far larger."
)
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="Images shown.")
@click.option("--store", is_flag=True, help="Keep the fitted score in the model's file, for the next time.")
@click.option("--picture", metavar="FILE.png", help="Draw the most unusual images with heat maps.")
@click.option("-o", "--out", metavar="FILE.csv", help="Write the score of every image.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    normal: str | None,
    score: str | None,
    false_alarms: float | None,
    tiles: bool | None,
    count: int,
    store: bool,
    picture: str | None,
    out: str | None,
    force: bool,
) -> None:
    """Score how unusual the images DATA are beside normal ones, and show where.

    A score is fitted to four fifths of the normal images; the rest decides from where on an image is flagged.
    Pictures much larger than the model's are cut into overlapping pieces; false alarms are then per piece.

    \b
    isthmus anomalies model.safetensors new-scans/ --normal good-scans/ --picture unusual.png
    """
    check_outputs(picture, out, force=force)
    if store:
        check_output(model, force=True, stream=False)
    network = load_model(model, swapped=swap_if_model(model, data, ["anomalies"]))
    check_data(data)
    from isthmus.atomic import write_bytes, write_text
    from isthmus.evaluation.readouts import readout_for
    from isthmus.evaluation.training_data import training_images
    from isthmus.features.anomalies import NAME, store_detector, stored_detector
    from isthmus.features.api import anomalies, heat_maps
    from isthmus.features.readout import NAME as READOUT
    from isthmus.model.attachments import attach
    from isthmus.model.reading import read_for

    images = read_for(network, data)
    usual = None
    if normal is not None:
        usual = read_for(network, check_data(normal))
    elif (kept := stored_detector(network)) is None or score not in (None, kept.kind):
        usual, why = training_images(network)
        if usual is None:
            raise DataError(f"{why}, and what is normal is not known", hint="add --normal DATA")
    readout, note = readout_for(network, images if usual is None else usual)
    if note is not None:
        console.note(note)
    found = anomalies(
        network,
        images,
        normal=usual,
        score=score,  # type: ignore[arg-type]
        false_alarms=false_alarms,
        tile=tiles,
        readout=readout,
        say=console.note,
    )
    if store:
        store_detector(network, found.detector, found.readout)
        for name in (READOUT, NAME):
            held = network.attachments[name]
            console.save(model, partial(attach, model, name, held.tensors, held.facts))
    skipped = (*images.skipped, *(usual.skipped if normal is not None and usual is not None else ()))
    worst = found.worst(count)
    if picture is not None:
        from isthmus.evaluation.drawing.heat import heat_picture

        shown = [images.image(row) for row in worst]
        titles = [images.names[row] for row in worst]
        drawn = heat_picture(shown, heat_maps(network, found, worst), titles)
        picture = console.save(picture, partial(write_bytes, picture, drawn, force=force))
    if out is not None:
        lines = [
            (name, f"{value:.6g}", f"{chance:.4g}", int(flag))
            for name, value, chance, flag in zip(
                images.names, found.scores, found.chance, found.flagged, strict=True
            )
        ]
        text = csv_text(("name", "score", "chance", "flagged"), lines)
        out = console.save(out, partial(write_text, out, text, force=force))
    detector = found.detector
    if math.isinf(detector.threshold):
        least = math.ceil(1000 * detector.least_false_alarms) / 1000
        console.warn(
            f"nothing can be flagged at {detector.false_alarms:g} false alarms: only "
            f"{format_count(len(detector.calibration), 'normal image')} "
            f"{choose_word(len(detector.calibration), 'was', 'were')} held out; "
            f"give more, or try --false-alarms {least:g}"
        )
    console.emit(
        {
            "schema": "isthmus.anomalies/1",
            "model": model,
            "score": detector.kind,
            "images": len(images),
            "normal_images": detector.normal_images,
            "false_alarms": detector.false_alarms,
            "threshold": detector.threshold,
            "flagged": int(found.flagged.sum()),
            "tiles": None if found.tiles is None else len(found.tiles.pieces),
            "worst": [
                {
                    "name": images.names[row],
                    "score": float(found.scores[row]),
                    "chance": float(found.chance[row]),
                    "flagged": bool(found.flagged[row]),
                }
                for row in worst
            ],
            "picture": picture,
            "out": out,
            "skipped": as_json(skipped),
        }
    )
    rows = [
        [
            images.names[row],
            float(found.scores[row]),
            float(found.chance[row]),
            "yes" if found.flagged[row] else "",
        ]
        for row in worst
    ]
    console.result(table(["most unusual", detector.kind, "chance if normal", "flagged"], rows))
    console.result(
        f"{int(found.flagged.sum())} of {len(images)} flagged, at {detector.false_alarms:g} false alarms"
    )
    for path in filter(None, (picture, out)):
        console.note(f"written: {path}")
    end_with_skipped(console, skipped)
