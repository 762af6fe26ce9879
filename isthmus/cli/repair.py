"""What `denoise` and `inpaint` share: files in, files out, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isthmus.cli.console import Console
from isthmus.cli.inputs import as_json, end_with_skipped
from isthmus.progress import duration
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.restoration.files import Outcome, Repair


thorough_option = click.option(
    "--thorough", is_flag=True, help="Better, in eight times the time: the mean over eight orientations."
)


def run(
    console: Console,
    label: str,
    images: Sequence[str],
    out: str,
    repair: Repair,
    *,
    compare: bool,
    force: bool,
) -> Outcome:
    """Repair all images with progress."""
    from isthmus.outputs import is_folder
    from isthmus.restoration.files import gather, outputs, repair_files

    listed = gather(images)
    folder = any(is_folder(path) for path in images)
    places = outputs(listed.files, out, folder=folder, force=force)
    with console.progress(label, total=len(places)) as line:
        found = repair_files(listed.files, places, repair, compare=compare, force=force, listener=line.update)
    found.skipped[:0] = listed.skipped
    return found


def end(console: Console, schema: str, out: Path, found: Outcome) -> None:
    """Say what was written, and what was not."""
    console.emit(
        {
            "schema": schema,
            "out": out,
            "files": [
                {
                    "name": one.name,
                    "output": one.output,
                    "height": one.height,
                    "width": one.width,
                    "seconds": one.seconds,
                    **one.facts,
                }
                for one in found.repaired
            ],
            "already_there": len(found.kept),
            "skipped": as_json(found.skipped),
        }
    )
    seconds = sum(one.seconds for one in found.repaired)
    count = len(found.repaired)
    already = f"; {len(found.kept):,} were there already (--force writes them again)" if found.kept else ""
    what = format_count(count, "image")
    console.result(f"{what} written to {out} in {duration(seconds)}{already}")
    end_with_skipped(console, found.skipped)
