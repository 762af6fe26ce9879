"""New images of the size people have: every recipe that makes them, equal time, one table.

    python benchmarks/new_images.py photos/ --minutes 20        one folder per class, if there are classes
    python benchmarks/new_images.py photos/ --minutes 0.05 --count 40

Of each class a quarter of the images (at most 500) is held out by a fixed seed and never trained on; samples
are compared with these. `generative` has four fifths of the minutes for its autoencoder, its prior about the
rest; the others have all for the network and are sampled from N(0, 1), and from a mixture of Gaussians over
their codes. `conv-gan`, a convolutional GAN (`conv_gan.py`), has the same minutes; it is skipped where
images are not square or their side is no power of two. All are measured in the features of one network,
trained on the same training images and kept in --out, with the sheets of 64 samples that come first.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from conv_gan import can_make, draw_from_gan

import isthmus
from isthmus.api.priors import PriorKind
from isthmus.evaluation.generation import Row, evaluate_generation
from isthmus.generation.prior_store import list_priors
from isthmus.images.outputs import write_images
from isthmus.images.store import ImageSet, Pixels
from isthmus.reports.tables import format_table as table

RECIPES = ("generative", "variational", "vae-gan")
GAN = "conv-gan"  # no recipe, but asked for like one
OWN = ("reconstructions", "samples")  # rows that each model has
HELD_OUT_SHARE, MAX_HELD_OUT = 0.25, 500


def split(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Training images, and those of each class that are never trained on."""
    labels = np.zeros(len(images), np.int64) if images.labels is None else images.labels
    random, held = np.random.default_rng(0), []
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        held += own[: min(MAX_HELD_OUT, int(HELD_OUT_SHARE * len(own)))].tolist()
    rest = np.setdiff1d(np.arange(len(images)), held)
    return images.subset(rest), images.subset(np.sort(held))


def train(name: str, images: ImageSet, minutes: float, out: Path) -> isthmus.Autoencoder:
    path = out / f"{name}.safetensors"
    if path.exists():
        return isthmus.load(path)
    share = 0.8 if name == "generative" else 1.0
    model = isthmus.train(images, recipe=name, minutes=share * minutes, patience=0, seed=0)
    if name != "generative":
        isthmus.fit_prior(model, images, kind="mixture")
        isthmus.fit_prior(model, images, kind="normal")
    model.save(path)
    return model


def draw_gan(images: ImageSet, minutes: float, count: int, out: Path) -> dict[str, Pixels]:
    """Samples of the convolutional GAN by the name of their row, kept in the folder; else {}, with a line."""
    if not can_make(images):
        print(f"{GAN} is skipped: the images are not square with a side of a power of two", flush=True)
        return {}
    path = out / "conv_gan.npz"
    if not path.exists():
        made, steps = draw_from_gan(images, minutes, count)
        np.savez(path, images=made, steps=steps)
        write_images(out / "conv_gan.png", made[:64], force=True)
    with np.load(path) as stored:
        return {f"convolutional GAN, {int(stored['steps']):,} steps": stored["images"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each recipe, for everything")
    parser.add_argument("--recipes", default=",".join((*RECIPES, GAN)), help=f"at least one other than {GAN}")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("new_images"))
    arguments = parser.parse_args()
    names = arguments.recipes.split(",")
    if not (recipes := [name for name in names if name != GAN]):
        parser.error(f"--recipes: the images of {GAN} are measured with those of another recipe")
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    images, unseen = split(isthmus.read(arguments.data))
    others: dict[str, Pixels] = {}
    if GAN in names:
        others = draw_gan(images, arguments.minutes, min(arguments.count, len(unseen)), arguments.out)
    rows: list[Row] = []
    documents = {}
    for name in recipes:
        started, busy = time.monotonic(), time.process_time()
        model = train(name, images, arguments.minutes, arguments.out)
        seconds, busy = time.monotonic() - started, time.process_time() - busy
        result = evaluate_generation(
            model, unseen, train=images, count=arguments.count, bar=True, others={} if rows else others,
            features=str(arguments.out / "features.safetensors"), say=lambda text: print(text, flush=True),
        )  # fmt: skip
        present = {row.name for row in rows}
        rows += [
            replace(row, name=f"{name}: {row.name}") if row.name.startswith(OWN) else row
            for row in result.rows
            if row.name not in present
        ]
        print(name, f"{seconds:.0f} s, {busy:.0f} s of the processor", result.features, flush=True)
        header, shown = replace(result, rows=tuple(rows)).table()
        print(table(header, shown), flush=True)
        documents[name] = result.to_dict() | {"seconds_of_fits": seconds, "processor": busy}
        for kind in list_priors(model):
            sheet = isthmus.generate(model, 64, prior=cast(PriorKind, kind), seed=0).pixels
            write_images(arguments.out / f"{name}-{kind}.png", sheet, force=True)
    (arguments.out / "new_images.json").write_text(json.dumps(documents, indent=1))


if __name__ == "__main__":
    main()
