"""`isthmus reconstruct MODEL DATA -o DIR`: images as a model sees them."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.outputs import check_folder
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder for the images; made where missing.")
@click.option("--compare", is_flag=True, help="Write each image and its reconstruction side by side.")
@force_option
@speaks
def command(console: Console, model: str, data: str, out: str, compare: bool, force: bool) -> None:
    """Write the images DATA as MODEL sees them.

    Each becomes a PNG of the same size under its own name, sub-folders kept. What is already there is left as
    it is, so an interrupted job can be repeated.
    """
    autoencoder = load_model(model, swapped=swap_if_model(model, data, ["reconstruct", "-o", out]))
    check_data(data)
    check_folder(out)
    from isthmus.evaluation.reconstructions import write_reconstructions
    from isthmus.evaluation.training_data import read_for

    images = read_for(autoencoder, data)
    for note in images.notes:
        console.note(f"note: {note}")
    with console.progress("reconstructing", total=len(images)) as line:
        found = write_reconstructions(
            autoencoder,
            images,
            out,
            compare=compare,
            force=force,
            listener=lambda done, _total: line.update(
                done, f"{done:,} of {format_count(len(images), 'image')}"
            ),
        )
    skipped = (*images.skipped, *found.skipped)
    console.emit(
        {
            "schema": "isthmus.reconstruct/1",
            "out": out,
            "written": len(found.written),
            "already_there": len(found.kept),
            "files": [str(path) for path in found.written],
            "skipped": as_json(skipped),
        }
    )
    already = f"; {len(found.kept):,} were there already (--force writes them again)" if found.kept else ""
    console.result(f"{format_count(len(found.written), 'image')} written to {out}{already}")
    end_with_skipped(console, skipped)
