"""`isthmus push MODEL PLACE`: share a model in a folder or on a hub."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import check_model
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.argument("place")
@click.option("--private", is_flag=True, help="A new repository is not public.")
@click.option("--message", default="", metavar="TEXT", help="Of the commit.")
@force_option
@speaks
def command(console: Console, model: str, place: str, private: bool, message: str, force: bool) -> None:
    """Share MODEL at PLACE: a folder (./name), or a repository OWNER/NAME of the Hugging Face hub.

    Written are the model file and a card that says what it is. The path of the training images on this
    machine is left out of both. A hub needs the extra 'hub' and a token (`hf auth login`).

    \b
    isthmus push photos.safetensors ./shared/photos/
    isthmus push photos.safetensors somebody/photos --private
    """
    check_model(model)
    from isthmus.model.hub import push

    found = push(model, place, private=private, message=message, force=force)
    console.emit(
        {
            "schema": "isthmus.push/1",
            "model": model,
            "place": found.place,
            "url": found.url,
            "bytes": found.bytes,
        }
    )
    console.result(f"{model} is at {found.url} ({format_count(found.bytes, 'byte')})")
