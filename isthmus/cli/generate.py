"""`isthmus generate MODEL -n N -o OUT`: new images."""

from __future__ import annotations

import math

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_size, load_model, read_image
from isthmus.cli.prepared_prior import with_prior
from isthmus.errors import UsageError
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.option("-n", "--number", type=click.IntRange(1), default=64, show_default=True, help="How many.")
@click.option("-o", "--out", required=True, metavar="OUT", help="Folder, contact sheet (.png) or .npz.")
@click.option(
    "--prior",
    type=click.Choice(["normal", "gaussian", "mixture", "flow"]),
    help="Which of the model's priors.  [default: the best it has]",
)
@click.option("--like", metavar="IMAGE", help="Make variations of this image, of its size.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=0.4,
    show_default=True,
    help="How far variations go: 0 repeats the image, 1 forgets it.",
)
@click.option("--class", "label", metavar="NAME", help="Only images of this class.")
@click.option("--size", callback=as_size, metavar="HxW", help="Of the images, where the code is a grid.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same images.")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Below 1 more usual images, above 1 more unusual ones.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=32, show_default=True, help="Of the flow's integration."
)
@force_option
@speaks
def command(
    console: Console,
    model: str,
    number: int,
    out: str,
    prior: str | None,
    like: str | None,
    strength: float,
    label: str | None,
    size: tuple[int, int] | None,
    seed: int,
    temperature: float,
    steps: int,
    force: bool,
) -> None:
    """Make N new images with MODEL.

    Without a prior in the model (isthmus prior) a mixture of Gaussians is fitted to the training images
    first, where these are found; it is used once and not kept.
    """
    if like is not None and size is not None:
        raise UsageError("variations have the size of their image: leave out either --size or --like")
    if not math.isfinite(temperature):
        raise UsageError(f"--temperature must be a finite number, not {temperature}")
    autoencoder = load_model(model, swapped=["generate", "MODEL", "--like", model, "-o", out])
    from isthmus.generation.sampling import generate
    from isthmus.images.outputs import check_free, write_images

    check_free(out, force)
    used = with_prior(console, autoencoder, model, prior)
    pixels = generate(
        autoencoder,
        number,
        prior=used,
        like=None if like is None else read_image(like, autoencoder),
        strength=strength,
        label=label,
        size=size,
        seed=seed,
        temperature=temperature,
        steps=steps,
    )
    files = write_images(out, pixels, force=force)
    console.emit(
        {
            "schema": "isthmus.generate/1",
            "model": model,
            "out": out,
            "prior": used.kind,
            "images": len(pixels),
            "size": list(pixels.shape[1:3]),
            "class": label,
            "like": like,
            "seed": seed,
            "files": [str(path) for path in files],
        }
    )
    console.result(f"{format_count(len(pixels), 'image')} from the {used.kind} prior written to {out}")
