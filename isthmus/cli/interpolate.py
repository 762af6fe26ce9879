"""`isthmus interpolate MODEL A B … -o OUT`: a path between images."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import load_model, read_image
from isthmus.cli.prepared_prior import with_prior
from isthmus.errors import UsageError
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE IMAGE…")
@click.option(
    "-o", "--out", required=True, metavar="OUT", help="Strip (.png), animation (.gif, .webp), .npz or folder."
)
@click.option(
    "--frames", type=click.IntRange(2), default=9, show_default=True, help="From one image to the next."
)
@click.option(
    "--path",
    type=click.Choice(["linear", "spherical", "prior"]),
    default="linear",
    show_default=True,
    help="Straight, round, or straight and drawn back to where the prior has its mass.",
)
@force_option
@speaks
def command(
    console: Console, model: str, images: tuple[str, ...], out: str, frames: int, path: str, force: bool
) -> None:
    """Write what lies between images in the code of MODEL: a strip, an animation, or single files."""
    if len(images) < 2:
        raise UsageError("a path needs at least two images")
    autoencoder = load_model(model)
    from isthmus.generation.interpolation import interpolate
    from isthmus.images.conform import fit
    from isthmus.images.outputs import check_free, write_images

    check_free(out, force)
    given = [read_image(name, autoencoder) for name in images]
    size = (given[0].shape[0], given[0].shape[1])
    given = [fit(image, size) for image in given]
    prior = with_prior(console, autoencoder, model, None) if path == "prior" else None
    pixels = interpolate(autoencoder, given, frames=frames, path=path, prior=prior)
    files = write_images(out, pixels, columns=frames if len(images) == 2 else None, animate=True, force=force)
    console.emit(
        {
            "schema": "isthmus.interpolate/1",
            "model": model,
            "images": list(images),
            "out": out,
            "path": path,
            "frames": len(pixels),
            "files": [str(file) for file in files],
        }
    )
    console.result(f"{format_count(len(pixels), 'frame')} on a {path} path written to {out}")
