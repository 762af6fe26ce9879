"""`isthmus verify FILES…`: are compressed files whole?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from isthmus.commands.console import Console, speaks
from isthmus.commands.inputs import as_json, check_model, end_with_skipped
from isthmus.commands.sizes import max_pixels_option


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
    from isthmus.codec.jobs import compressed_in
    from isthmus.errors import DataError
    from isthmus.images.store import Skipped

    paths: list[Path] = []
    for name in files:
        paths += [path for path, _ in compressed_in(Path(name))] if Path(name).is_dir() else [Path(name)]
    most = round(max_pixels * 1e6)
    decode_whole: Callable[[Path], None] | None = None
    if model is not None:
        from isthmus.codec import storing
        from isthmus.codec.models import codec_for

        decode_whole = partial(storing.decode_whole, codec=codec_for(model), max_pixels=most)
    whole: list[dict[str, Any]] = []
    broken: list[Skipped] = []
    with console.progress("verifying", total=len(paths)) as line:
        for path in paths:
            try:
                found = examine(path, max_pixels=most)
                if decode_whole is not None:
                    decode_whole(path)
                whole.append({"file": str(path), **found})
            except DataError as error:
                if len(paths) == 1:
                    raise
                broken.append(Skipped(str(path), error.message.removeprefix(f"{path}: ")))
            line.update(len(whole) + len(broken), path.name)
    how = "checksums" if model is None else "decoded"
    console.emit({"schema": "isthmus.verify/1", "how": how, "files": whole, "skipped": as_json(broken)})
    words = "every checksum is right" if model is None else "everything decodes"
    console.result(
        f"{len(whole):,} of {len(paths):,} {'file is' if len(paths) == 1 else 'files are'} whole: {words}"
    )
    end_with_skipped(console, broken)
