"""`isthmus map MODEL DATA -o FILE.html`: all codes on one page that can be zoomed."""

from __future__ import annotations

from pathlib import Path

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.outputs import check_outputs
from isthmus.wording import choose_word


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("-o", "--out", required=True, metavar="FILE.html", help="The page; it needs no other file.")
@click.option(
    "--method",
    type=click.Choice(["tsne", "pca"]),
    default="tsne",
    show_default=True,
    help="t-SNE keeps neighbours together, PCA keeps directions.",
)
@click.option(
    "--limit",
    type=click.IntRange(3),
    default=2000,
    show_default=True,
    metavar="N",
    help="At most N images, evenly spaced.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of t-SNE.")
@force_option
@speaks
def command(
    console: Console, model: str, data: str, out: str, method: str, limit: int, seed: int, force: bool
) -> None:
    """Draw the images DATA where their codes lie: one self-contained page to zoom and move in."""
    autoencoder = load_model(model, swapped=swap_if_model(model, data, ["map", "-o", out]))
    check_data(data)
    from isthmus.generation.code_map import code_map
    from isthmus.images.reading import read

    check_outputs(out, force=force)
    images = read(data)
    found = code_map(autoencoder, images, method=method, limit=limit, seed=seed)
    found.write(out, title=f"{Path(model).stem}: {images.source}", force=force)
    console.emit(
        {
            "schema": "isthmus.map/1",
            "model": model,
            "out": out,
            "images": len(found.images),
            "method": method,
            "explained": found.explained,
            "bytes": Path(out).stat().st_size,
            "skipped": as_json(images.skipped),
        }
    )
    part = f" of {len(images):,}" if len(images) > len(found.images) else ""
    console.result(f"{len(found.images):,}{part} {choose_word(len(found.images), 'image')} on {out}")
    end_with_skipped(console, images.skipped)
