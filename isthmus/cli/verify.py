"""`isthmus verify FILES…`: are compressed files whole?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from isthmus.cli.console import Console, speaks
from isthmus.cli.inputs import as_json, check_model, end_with_skipped
from isthmus.cli.sizes import max_pixels_option
from isthmus.wording import choose_word, format_count


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "-m", "--model", metavar="MODEL", help="Decode with this model as well; without, checksums only."
)
@max_pixels_option
@speaks
def command(console: Console, files: tuple[str, ...], model: str | None, max_pixels: float) -> None:
    """Check that .isth files, or those in folders, are whole.

    Every checksum is held against its bytes, which needs no model; with --model everything is decoded as
    well. The exit code is 3 when a file is damaged, 1 when it is the only one.
    """
    if model is not None:
        check_model(model)
    from isthmus.codec.facts import examine
    from isthmus.codec.jobs import list_compressed
    from isthmus.errors import DataError
    from isthmus.images.store import Skipped
    from isthmus.outputs import is_folder

    paths: list[Path] = []
    broken: list[Skipped] = []
    for name in files:
        if is_folder(name):
            listed = list_compressed(Path(name))
            paths += [path for path, _ in listed.files]
            broken += [Skipped(f"{Path(name) / one.name}/", one.reason) for one in listed.skipped]
        else:
            paths.append(Path(name))
    unlisted = len(broken)
    most = round(max_pixels * 1e6)
    decode_whole: Callable[[Path], None] | None = None
    if model is not None:
        from isthmus.codec import storing
        from isthmus.codec.models import codec_for

        decode_whole = partial(storing.decode_whole, codec=codec_for(model), max_pixels=most)
    whole: list[dict[str, Any]] = []
    with console.progress("verifying", total=len(paths)) as line:
        for path in paths:
            try:
                found = examine(path, max_pixels=most)
                if decode_whole is not None:
                    decode_whole(path)
                whole.append({"file": str(path), **found})
            except DataError as error:
                if len(paths) == 1 and not unlisted:
                    raise
                broken.append(Skipped(str(path), error.message.removeprefix(f"{path}: ")))
            line.update(len(whole) + len(broken) - unlisted, path.name)
    how = "checksums" if model is None else "decoded"
    console.emit({"schema": "isthmus.verify/1", "how": how, "files": whole, "skipped": as_json(broken)})
    words = "every checksum is right" if model is None else "everything decodes"
    if unlisted:
        console.result(f"{len(whole):,} of the {format_count(len(paths), 'file')} found are whole: {words}")
    else:
        are = choose_word(len(paths), "is", "are")
        console.result(f"{len(whole):,} of {format_count(len(paths), 'file')} {are} whole: {words}")
    end_with_skipped(console, broken)
