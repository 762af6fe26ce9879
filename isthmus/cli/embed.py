"""`isthmus embed MODEL DATA -o FILE`: one feature vector per image, as .npz or .parquet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.cli.line import command_line
from isthmus.errors import UsageError
from isthmus.locks import exclusive
from isthmus.outputs import check_output
from isthmus.wording import format_count

SUFFIXES = (".npz", ".parquet")


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("-o", "--out", required=True, metavar="FILE", help="Where they go: .npz or .parquet.")
@click.option(
    "--what",
    type=click.Choice(["compact", "full", "code"]),
    default="compact",
    show_default=True,
    help="Some 256 numbers for distances, all for linear models, or the code.",
)
@click.option("--layer", metavar="NAME", help="Read this stage of the encoder; code is one.")
@click.option("--store", is_flag=True, help="Keep how features are read in the model's file.")
@force_option
@speaks
def command(
    console: Console, model: str, data: str, out: str, what: str, layer: str | None, store: bool, force: bool
) -> None:
    """Turn the images DATA into feature vectors, for other tools.

    A file holds vectors, names and, where they are known, labels and classes. What a model's features are is
    kept in its file, or settled from its training images; labels play no part.

    \b
    isthmus embed features.safetensors photos/ -o photos.npz
    isthmus embed conv.safetensors mnist:test --layer stages.1 -o mnist.parquet
    """
    if Path(out).suffix not in SUFFIXES:
        raise UsageError(f"{out} has no suffix that says what to write: .npz or .parquet")
    if what == "code" and layer not in (None, "code") and not store:
        raise UsageError(
            f"--what code is what encode gives, not layer {layer}",
            hint=command_line(["embed", model, data, "--layer", layer, "-o", out]),
        )
    network = load_model(model, swapped=swap_if_model(model, data, ["embed"]))
    check_data(data)
    from isthmus.evaluation.readouts import readout_for
    from isthmus.features.api import embed
    from isthmus.features.readout import NAME
    from isthmus.features.readout import store as store_readout
    from isthmus.features.vectors_file import check_vectors_file, save_vectors
    from isthmus.model.attachments import attach

    check_vectors_file(out, force=force)
    if store:
        check_output(model, force=True, stream=False)
    from isthmus.model.reading import read_for

    with exclusive(out):
        images = read_for(network, data)
        readout = None
        if what != "code" or store:
            readout, note = readout_for(network, images, layer=layer)
            if note is not None:
                console.note(note)
            if store:
                store_readout(network, readout)
                kept = network.attachments[NAME]
                console.save(model, partial(attach, model, NAME, kept.tensors, kept.facts))
        with console.progress("reading features", total=len(images)) as line:
            found = embed(
                network,
                images,
                what=what,  # type: ignore[arg-type]
                readout=readout,
                listener=lambda done, _: line.update(done),
            )
        save_vectors(out, found, force=force)
    console.emit(
        {
            "schema": "isthmus.embed/1",
            "out": out,
            "what": what,
            "layer": "code" if readout is None or what == "code" else readout.reading.layer,
            "images": len(images),
            "numbers": int(found.vectors.shape[1]),
            "labels": images.labels is not None,
            "skipped": as_json(images.skipped),
        }
    )
    console.result(
        f"{out}: {format_count(len(images), 'image')}, {format_count(found.vectors.shape[1], 'number')} each"
    )
    end_with_skipped(console, images.skipped)
