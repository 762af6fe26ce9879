"""`isthmus decompress FILES… -o OUT`: images from compressed files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_model, end_with_skipped
from isthmus.cli.sizes import as_region, max_pixels_option
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.codec.jobs import Job


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="OUT", help="An image file for one input, else a folder.")
@click.option(
    "-m", "--model", metavar="MODEL", help="The model they were compressed with; else the shipped one."
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["png", "tif", "webp", "bmp", "jpg", "ppm"]),
    default="png",
    show_default=True,
    help="Format of images in a folder; a single file's name says its own.",
)
@click.option(
    "--region", callback=as_region, metavar="WxH+X+Y", help="Decode only W×H pixels from column X, row Y."
)
@click.option("--keep-going", is_flag=True, help="Paint what is damaged from its surroundings, and say so.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Files at a time; one per core.")
@max_pixels_option
@force_option
@speaks
def command(console: Console, files: tuple[str, ...], out: str, **options: Any) -> None:
    """Decompress FILES, .isth files or folders of them, into images.

    PNG by default. Of several files those are left out whose image is there already. With --keep-going a
    damaged file gives what is whole of it, and the exit code is 3.
    """
    if options["model"] is not None:
        check_model(options["model"])
    from isthmus.codec.jobs import file_jobs, run
    from isthmus.codec.models import codec_for
    from isthmus.codec.storing import decompress_file
    from isthmus.images.store import Skipped

    plan = file_jobs(files, out, suffix=f".{options['suffix']}")
    codec = codec_for(options["model"])

    def one(job: Job) -> Any:
        return decompress_file(
            job.source,
            job.target,
            codec,
            region=options["region"],
            keep_going=options["keep_going"],
            max_pixels=round(options["max_pixels"] * 1e6),
            force=options["force"],
        )

    written, skipped, damaged, kept = [], list(plan.skipped), [], 0
    with console.progress("decompressing", total=len(plan.jobs)) as line:
        for done in run(plan.jobs, one, force=options["force"], workers=options["jobs"]):
            kept += done.kept
            if done.skipped is not None:
                skipped.append(done.skipped)
            if done.found is not None:
                written.append(done.found)
                damaged += [Skipped(done.job.name, damage) for damage in done.found.damage]
            line.update(len(written) + len(skipped) - len(plan.skipped) + kept, done.job.name)
    console.emit(
        {
            "schema": "isthmus.decompress/1",
            "out": out,
            "model": options["model"],
            "files": [
                {"source": w.source, "file": w.file, "size": list(w.size), "damage": list(w.damage)}
                for w in written
            ],
            "already_there": kept,
            "skipped": as_json(skipped),
        }
    )
    already = f"; {kept:,} were there already (--force writes them again)" if kept else ""
    console.result(f"{format_count(len(written), 'image')} written to {out}{already}")
    end_with_skipped(console, [*skipped, *damaged])
