"""`isthmus pull PLACE -o MODEL`: fetch a shared model."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import MODEL_SUFFIX
from isthmus.wording import format_count


@click.command()
@click.argument("place")
@click.option("-o", "--out", metavar="MODEL", help="The model file; by default named after PLACE.")
@click.option("--revision", metavar="REV", help="A branch, tag or commit of a repository.")
@force_option
@speaks
def command(console: Console, place: str, out: str | None, revision: str | None, force: bool) -> None:
    """Fetch the model that was shared at PLACE: a folder (./name), or a repository OWNER/NAME of a hub.

    It is loaded before it gets its name; a model file holds numbers only, and cannot run code.

    \b
    isthmus pull ./shared/photos/ -o photos.safetensors
    isthmus pull somebody/photos
    """
    from isthmus.model.hub import pull

    path = out if out is not None else f"{place.rstrip('/').rpartition('/')[2]}{MODEL_SUFFIX}"
    found = pull(place, path, revision=revision, force=force)
    console.emit(
        {
            "schema": "isthmus.pull/1",
            "model": path,
            "place": found.place,
            "url": found.url,
            "bytes": found.bytes,
        }
    )
    console.result(f"model: {path} ({format_count(found.bytes, 'byte')})")
