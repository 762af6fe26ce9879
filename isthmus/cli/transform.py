"""`isthmus transform MODEL IMAGE --along D --by X -o OUT`: an image changed along a direction."""

from __future__ import annotations

import math

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import load_model, read_image
from isthmus.wording import format_count


def _amounts(context: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    try:
        amounts = [float(word) for word in value.split(",")]
        if not all(map(math.isfinite, amounts)):
            raise ValueError
        return amounts
    except ValueError:
        raise click.BadParameter(
            f"'{value}': write a number, or several with commas", ctx=context, param=parameter
        ) from None


@click.command()
@click.argument("model")
@click.argument("image")
@click.option("--along", required=True, metavar="FILE", help="What isthmus direct wrote.")
@click.option(
    "--by",
    default="1",
    show_default=True,
    callback=_amounts,
    metavar="X[,X…]",
    help="Steps; negative ones lead the other way, several make a strip.",
)
@click.option("--plain", is_flag=True, help="Leave out detail that the code does not hold.")
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="OUT",
    help="Strip (.png), animation (.gif, .webp) or folder.",
)
@force_option
@speaks
def command(
    console: Console, model: str, image: str, along: str, by: list[float], plain: bool, out: str, force: bool
) -> None:
    """Change IMAGE along a direction in the code of MODEL.

    --by 1 goes as far as from the middle of one group to the middle of the other.
    """
    autoencoder = load_model(model)
    from isthmus.generation.directions import load_direction, transform
    from isthmus.images.outputs import check_free, write_images

    check_free(out, force)
    given = read_image(image, autoencoder)
    pixels = transform(autoencoder, given, load_direction(along), by, keep_detail=not plain)
    files = write_images(out, pixels, columns=len(by), animate=True, force=force)
    console.emit(
        {
            "schema": "isthmus.transform/1",
            "model": model,
            "image": image,
            "along": along,
            "by": by,
            "out": out,
            "files": [str(file) for file in files],
        }
    )
    console.result(f"{format_count(len(pixels), 'image')} written to {out}")
