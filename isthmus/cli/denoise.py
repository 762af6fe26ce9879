"""`isthmus denoise IMAGES… -o OUT`: images without their noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import check_data
from isthmus.cli.repair import end, run, thorough_option

if TYPE_CHECKING:
    from isthmus.images.listing import ImageFile
    from isthmus.images.store import Pixels
    from isthmus.restoration.files import Tell


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="OUT", help="A file for one image, or a folder.")
@click.option(
    "--sigma",
    type=float,
    metavar="S",
    help="Standard deviation of the noise, of 255; estimated for each image when not given.",
)
@click.option("--model", metavar="M", help="A model file, or a shipped model (`isthmus models`).")
@thorough_option
@click.option("--compare", is_flag=True, help="Also write NAME-compare.png: before and after.")
@force_option
@speaks
def command(
    console: Console,
    images: tuple[str, ...],
    out: str,
    sigma: float | None,
    model: str | None,
    thorough: bool,
    compare: bool,
    force: bool,
) -> None:
    """Remove noise from IMAGES, which are files or folders.

    Works at any size. Alpha comes back as it is, EXIF and ICC are kept; in a folder every result is a PNG of
    the same name, and what is already there is left as it is.

    \b
    isthmus denoise dark.jpg -o clean.png
    isthmus denoise scans/ -o clean/ --sigma 15 --compare
    """
    for path in images:
        check_data(path)
    from isthmus.model.loading import load_shared
    from isthmus.restoration.denoise import denoise, network_for, seen_noise

    network = None if model is None else load_shared(model)

    def repair(pixels: Pixels, _: ImageFile, tell: Tell) -> tuple[Pixels, dict[str, Any]]:
        network_for(pixels, network)  # a model that does not fit is known before the noise is measured
        level = sigma if sigma is not None else seen_noise(pixels).sigma
        restored = denoise(pixels, level, network, thorough=thorough, listener=tell)
        return restored, {"sigma": level, "estimated": sigma is None}

    found = run(console, "denoising", images, out, repair, compare=compare, force=force)
    for one in found.repaired:
        if one.facts["estimated"]:
            console.note(f"{one.name}: the noise has a standard deviation of about {one.facts['sigma']:.1f}")
    end(console, "isthmus.denoise/1", Path(out), found)
