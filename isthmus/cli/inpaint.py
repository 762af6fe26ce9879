"""`isthmus inpaint IMAGES… -o OUT`: images whose holes are filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import check_data
from isthmus.cli.line import command_line
from isthmus.cli.repair import end, run, thorough_option
from isthmus.errors import UsageError

if TYPE_CHECKING:
    from isthmus.images.listing import ImageFile
    from isthmus.images.store import Pixels
    from isthmus.restoration.files import Tell

_WAYS = ("--mask FILE", "--mask-colour COLOUR", "--mask-alpha", "--find dead-pixels")


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="OUT", help="A file for one image, or a folder.")
@click.option(
    "--mask",
    metavar="M",
    help="A picture of the same size, white where pixels are missing; or a folder of them.",
)
@click.option("--mask-colour", metavar="C", help="Pixels of this colour are missing: #ff00ff or 255,0,255.")
@click.option(
    "--tolerance",
    type=click.IntRange(0, 255),
    default=0,
    metavar="T",
    help="How far each channel may lie from the colour, of 255; JPEG needs about 40.",
)
@click.option("--mask-alpha", is_flag=True, help="Transparent pixels are missing; the result is opaque.")
@click.option("--find", type=click.Choice(["dead-pixels"]), help="Find what is missing.")
@click.option("--model", metavar="M", help="A model file, or a shipped model (`isthmus models`).")
@thorough_option
@click.option("--compare", is_flag=True, help="Also write NAME-compare.png: before and after.")
@force_option
@speaks
def command(
    console: Console,
    images: tuple[str, ...],
    out: str,
    mask: str | None,
    mask_colour: str | None,
    tolerance: int,
    mask_alpha: bool,
    find: str | None,
    model: str | None,
    thorough: bool,
    compare: bool,
    force: bool,
) -> None:
    """Fill what is missing in IMAGES, which are files or folders; all other pixels stay as they are.

    Say what is missing in one of four ways: a picture, a colour, transparency, or dead pixels that are found.

    \b
    isthmus inpaint scan.png --mask scratches.png -o whole.png
    isthmus inpaint marked.png --mask-colour '#ff00ff' -o whole.png
    isthmus inpaint camera/ --find dead-pixels -o fixed/
    """
    for path in images:
        check_data(path)
    if sum((mask is not None, mask_colour is not None, mask_alpha, find is not None)) != 1:
        ways = ", ".join(_WAYS)
        raise UsageError(
            f"say in one way what is missing: {ways}",
            hint=command_line(["inpaint", *images, "--find", "dead-pixels", "-o", out]),
        )
    from isthmus.model.loading import load_shared
    from isthmus.restoration import masks
    from isthmus.restoration.inpaint import inpaint, network_for

    network = None if model is None else load_shared(model)
    colour = None if mask_colour is None else masks.parse_colour(mask_colour)

    def repair(pixels: Pixels, file: ImageFile, tell: Tell) -> tuple[Pixels, dict[str, Any]]:
        network_for(pixels, network)
        if mask is not None:
            missing = masks.from_picture(_picture(mask, file))
        elif colour is not None:
            missing = masks.of_colour(pixels, colour, tolerance=tolerance)
        elif mask_alpha:
            missing = masks.of_alpha(pixels)
            pixels = pixels[..., :-1]
        else:
            missing = masks.dead_pixels(pixels)
            if not missing.any():  # good news, not an error
                return pixels, {"missing": 0.0}
        filled = inpaint(pixels, missing, network, thorough=thorough, listener=tell)
        return filled, {"missing": float(missing.mean())}

    found = run(console, "inpainting", images, out, repair, compare=compare, force=force)
    for one in found.repaired:
        console.note(f"{one.name}: {one.facts['missing']:.3%} of the pixels were missing")
    end(console, "isthmus.inpaint/1", Path(out), found)


def _picture(mask: str, file: ImageFile) -> Path:
    """The mask of one image: the picture itself, or the one of the same name in a folder."""
    from isthmus.outputs import is_folder, native_path, path_exists

    place = Path(mask)
    if not is_folder(place):
        return place
    same = native_path(place.joinpath(*file.name.split("/")))
    return same if path_exists(same) else same.with_suffix(".png")
