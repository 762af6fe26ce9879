"""`isthmus compress IMAGES… -o OUT`: images to small files with an autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, check_model, end_with_skipped
from isthmus.cli.sizes import max_pixels_option, size_text
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.codec.jobs import Job


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="OUT", help="A .isth file for one image, else a folder.")
@click.option(
    "-m", "--model", metavar="MODEL", help="A model trained with --recipe codec; else the shipped one."
)
@click.option("--quality", type=float, metavar="Q", help="1 (small) to 100 (faithful); 50 by default.")
@click.option("--bpp", type=float, metavar="B", help="At most B bits per pixel: the quality is sought.")
@click.option("--psnr", type=float, metavar="P", help="At least P dB: the quality is sought.")
@click.option("--preview", type=int, metavar="SIDE", help="Put a small picture of SIDE pixels into the file.")
@click.option(
    "--effort",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="0 to 100 steps that fit the code to the image: smaller files, slower; 10 is worth it.",
)
@click.option("--verify", is_flag=True, help="Decode each file and compare before it is written.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Images at a time; one per core.")
@max_pixels_option
@force_option
@speaks
def command(console: Console, images: tuple[str, ...], out: str, **options: Any) -> None:
    """Compress IMAGES, files or folders, into .isth files.

    The same model is needed to decompress. Colour profile, EXIF and transparency are kept; images have 8 bits
    per sample. Of several images those are left out whose file is there already, so that an interrupted job
    can be repeated.
    """
    from isthmus.codec.api import check_request

    asked = {key: options[key] for key in ("quality", "bpp", "psnr", "preview", "effort")}
    check_request(**asked)
    for image in images:
        check_data(image)
    if options["model"] is not None:
        check_model(options["model"])
    from isthmus.codec.jobs import image_jobs, run
    from isthmus.codec.models import codec_for
    from isthmus.codec.storing import compress_file

    plan = image_jobs(images, out)
    codec = codec_for(options["model"])
    measured = options["verify"] or console.json

    def one(job: Job) -> Any:
        return compress_file(
            job.source,
            job.target,
            codec,
            **asked,
            measure=measured,
            max_pixels=round(options["max_pixels"] * 1e6),
            force=options["force"],
        )

    files, skipped, kept = [], list(plan.skipped), 0
    with console.progress("compressing", total=len(plan.jobs)) as line:
        for done in run(plan.jobs, one, force=options["force"], workers=options["jobs"]):
            kept += done.kept
            if done.skipped is not None:
                skipped.append(done.skipped)
            if done.found is not None:
                files.append(done.found)
                if done.found.several:
                    console.note(f"note: {done.job.name} holds several pictures; this is the first")
            line.update(len(files) + len(skipped) - len(plan.skipped) + kept, done.job.name)
    before, after = sum(f.original_bytes for f in files), sum(f.bytes for f in files)
    console.emit(
        {
            "schema": "isthmus.compress/1",
            "out": out,
            "model": options["model"],
            "files": [f.document() for f in files],
            "original_bytes": before,
            "bytes": after,
            "already_there": kept,
            "verified": options["verify"],
            "skipped": as_json(skipped),
        }
    )
    console.result(_summary(len(files), before, after, kept, verified=options["verify"]))
    end_with_skipped(console, skipped)


def _summary(count: int, before: int, after: int, kept: int, *, verified: bool) -> str:
    words = f"{format_count(count, 'image')} compressed"
    if count:
        saved = (
            f"{size_text(before)} became {size_text(after)}, {100 * (1 - after / max(before, 1)):.0f} % saved"
        )
        words += f": {saved}" + (", every file verified" if verified else "")
    return words + (f"; {kept:,} were there already (--force writes them again)" if kept else "")
