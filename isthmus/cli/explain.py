"""`isthmus explain MODEL IMAGE -o DIR`: what each unit of the code sees and paints."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import check_data, load_model, swap_if_model
from isthmus.errors import OutputError, UsageError
from isthmus.outputs import check_folder, path_exists
from isthmus.reports.tables import format_table


@click.command()
@click.argument("model")
@click.argument("image")
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder for the page and its pictures.")
@click.option("--data", metavar="DATA", help="Images that say what is usual; by default the training images.")
@click.option(
    "--units", default="8", show_default=True, metavar="N|A,B,…", help="How many units, or which ones."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the random orders maps are compared with."
)
@force_option
@speaks
def command(
    console: Console, model: str, image: str, out: str, data: str | None, units: str, seed: int, force: bool
) -> None:
    """Explain the code that MODEL gives IMAGE, on one page.

    Shows where the most telling units look (integrated gradients, and covering places), what they paint
    (their share of the decoder, and the image with one unit moved), which images excite them most, the whole
    dictionary of a sparse code, and whether the maps can be believed: how much faster a unit changes when
    pixels are taken away in the map's order than at random.
    """
    autoencoder = load_model(model, swapped=swap_if_model(model, image, ["explain"]))
    check_data(image)
    check_folder(out)
    if not force and path_exists(Path(out) / "explanation.html"):
        raise OutputError(
            f"{out} holds an explanation; nothing was overwritten", hint="repeat the command with --force"
        )
    from isthmus.evaluation.explanation import explain
    from isthmus.evaluation.report.explanation import write_explanation
    from isthmus.model.reading import read_for

    images = read_for(autoencoder, image)
    if len(images) > 1:
        console.note(f"{image} holds {len(images):,} images: the first, {images.names[0]}, is explained")

    with console.progress("explaining", total=1.0) as line:
        found = explain(
            autoencoder,
            images,
            data=data,
            units=_units(units),
            seed=seed,
            listener=lambda share: line.update(share),
        )
    page = Path(out, "explanation.html").as_posix()
    written = console.save(page, partial(write_explanation, found, out, model=model, force=force))
    console.emit(found.to_dict() | {"model": model, "page": written})
    rows = [
        (unit, float(found.values[unit]), float(found.units.mean[unit]), float(found.units.deviation[unit]))
        for unit in found.chosen
    ]
    console.result(format_table(("unit", "here", "mean", "deviation"), rows))
    for name, score in found.scores.items():
        console.result(
            f"{name} maps: deletion {score.deletion:+.3f}, insertion {score.insertion:+.3f} against random"
        )
    if written is not None:
        console.result(f"page: {written}")


def _units(text: str) -> int | list[int]:
    try:
        if "," not in text:
            count = int(text)
            if count < 1:
                raise ValueError(text)
            return count
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(f"--units {text}: a number of units, or their numbers with commas") from None
