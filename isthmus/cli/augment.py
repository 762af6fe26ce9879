"""`isthmus augment MODEL DATA -n N -o DIR`: more labelled images."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.errors import UsageError
from isthmus.wording import format_count


def _words(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:  # noqa: ARG001
    return [word.strip() for word in value.split(",") if word.strip()]


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("-n", "--number", type=click.IntRange(1), help="New images, evenly over the classes.")
@click.option("--balance", is_flag=True, help="Instead of -n: fill every class up to the largest.")
@click.option("-o", "--out", required=True, metavar="OUT", help="Folder (a sub-folder per class) or .npz.")
@click.option(
    "--methods",
    default="mixup,moves",
    show_default=True,
    callback=_words,
    metavar="A,B",
    help="Taken in turns: mixup, moves, samples, distortions.",
)
@click.option(
    "--distortions",
    default="shift,flip",
    show_default=True,
    callback=_words,
    metavar="A,B",
    help="Classic changes: shift, flip, rotate, zoom, brightness, contrast, noise, cutout.",
)
@click.option("--also-distort", is_flag=True, help="Apply these to the images of the other methods, too.")
@click.option("--unfiltered", is_flag=True, help="Keep also copies and what the model finds strange.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same images.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    number: int | None,
    balance: bool,
    out: str,
    methods: list[str],
    distortions: list[str],
    also_distort: bool,
    unfiltered: bool,
    seed: int,
    force: bool,
) -> None:
    """Make new labelled images like the labelled images DATA.

    MODEL need not have seen labels, and is best trained on many images of the kind. What it cannot
    reconstruct well, what lies nearest to another class, and copies are dropped and made anew.
    """
    if (number is None) != balance:
        raise UsageError("give either -n or --balance")
    autoencoder = load_model(model, swapped=swap_if_model(model, data, ["augment", "-o", out]))
    check_data(data)
    from isthmus.generation.augmentation import augment
    from isthmus.images.outputs import check_free, write_images
    from isthmus.images.reading import read

    check_free(out, force, labelled=True)
    images = read(data)
    found = augment(
        autoencoder,
        images,
        number,
        methods=methods,
        distortions=distortions,
        also_distort=also_distort,
        balance=balance,
        filtered=not unfiltered,
        seed=seed,
    )
    made = found.images
    labels = made.labels
    assert labels is not None
    pixels = made.stack(range(len(made)))
    files = write_images(out, pixels, labels=labels, classes=made.classes, force=force)
    console.emit(
        {
            "schema": "isthmus.augment/1",
            "model": model,
            "out": out,
            "images": len(made),
            "asked": number,
            "classes": {name: int((labels == k).sum()) for k, name in enumerate(made.classes)},
            "dropped": found.dropped,
            "files": [str(path) for path in files],
            "skipped": as_json(images.skipped),
        }
    )
    lost = ", ".join(f"{n} {reason}" for reason, n in found.dropped.items() if n)
    console.result(
        f"{format_count(len(made), 'new image')} written to {out}" + (f" (dropped: {lost})" if lost else "")
    )
    if len(made) < found.wanted:
        console.warn(f"only {len(made):,} of {found.wanted:,}: what else was made was dropped")
    end_with_skipped(console, images.skipped)
