"""How good new images are: measured against unseen real ones, beside what real and simple images score.

Every set is compared with the same test images in the same features: samples of the model's priors, its
reconstructions, real training images (the floor), and samples of a Gaussian mixture in a principal subspace
of the pixels (the bar). `relative` is 0 at the floor and 1 at the bar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.evaluation.feature_network import fit_component_features, load_shipped_features, read_features
from isthmus.generation.codes import check_generates, convert_for_model
from isthmus.generation.mixture import fit_mixture
from isthmus.generation.prior import Prior, draw_codes
from isthmus.generation.prior_store import list_priors, read_prior
from isthmus.generation.sampling import sample_images, to_pixels
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.images.subsets import sample_evenly
from isthmus.messages import Message
from isthmus.metrics.neighbours import find_neighbours
from isthmus.metrics.set_distances import (
    energy_distance,
    frechet_distance,
    nearest_neighbour_accuracy,
    precision_and_recall,
)
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.wording import format_count

COUNT = 10_000
MEMORY_COUNT = 1000
DIMENSIONS, COMPONENTS = 64, 100
SHOWN = 8
NEAR = 0.01  # quantile of held-out images' distances below which a sample counts as copied
FLOOR, BAR = "real training images", f"PCA{DIMENSIONS} + GMM{COMPONENTS}"


@dataclass(frozen=True)
class Row:
    """One set of images against the test images; see `isthmus.measures` for each."""

    name: str
    frechet: float
    relative: float | None
    energy: float
    two_sample: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Memory:
    """Distances of samples to their nearest training image, beside those of unseen real images; in pixels.

    Attributes:
        ratio: median distance of samples over that of held-out images; far below 1 means copies.
        copied: share of samples nearer than all but 1 % of held-out images are; by chance .01.
        images: samples compared.
        pairs: `(SHOWN, 2, H, W, C)`: the closest samples, each with its training image.
    """

    ratio: float
    copied: float
    images: int
    pairs: Pixels = field(repr=False)


@dataclass(frozen=True)
class Generation:
    """What `evaluate_generation` found; `to_dict` is the key `generation` of an evaluation's document."""

    rows: tuple[Row, ...]
    memory: Memory
    features: dict[str, Any]
    images: int
    seed: int
    seconds: float
    samples: Pixels = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": [asdict(row) for row in self.rows],
            "memory": {
                "ratio": self.memory.ratio,
                "copied": self.memory.copied,
                "images": self.memory.images,
            },
            "features": self.features,
            "images": self.images,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "notes": list(self.notes),
        }

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Header and rows for print."""
        header = ["images", "FD", "relative", "energy", "1-NN", "precision", "recall"]
        rows = [
            [r.name, r.frechet, r.relative, r.energy, r.two_sample, r.precision, r.recall] for r in self.rows
        ]
        return header, rows


@limited()
def evaluate_generation(
    model: Autoencoder,
    images: ImageSet,
    *,
    train: ImageSet,
    priors: Sequence[str | Prior] | None = None,
    features: str | None = None,
    count: int = COUNT,
    seed: int = 0,
    bar: bool = True,
    others: Mapping[str, Pixels] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Generation:
    """Draw as many images as there are test images and compare.

    Args:
        model: with a prior, see `isthmus.fit_prior`.
        images: test images that neither the model nor the features were trained on.
        train: the training images.
        priors: kinds to draw from; by default every one that the model has.
        features: a file of `isthmus.evaluation.feature_network`; by default the classifier shipped for this
            data set, else 64 principal components of the training images.
        count: at most so many images in each set.
        seed: of draws and subsets.
        bar: also fit the Gaussian mixture of pixels, which takes about a minute for 60,000 images.
        others: further sets of made images `(n, H, W, C)` uint8 by name, from elsewhere, for the same table.
        say: told what is being done.

    Raises:
        CapabilityError, UsageError: the model cannot generate, or has no prior.
        DataError: fewer than 8 test images, or of another size than the training images.
    """
    started = time.monotonic()
    check_generates(model)
    chosen: list[Prior] = [
        read_prior(model, prior) if isinstance(prior, str) else prior
        for prior in (priors if priors is not None else list_priors(model) or [read_prior(model).kind])
    ]
    test = convert_for_model(model, sample_evenly(images, count))
    known = convert_for_model(model, train)
    if len(test) < 8 or test.shape is None or known.shape != test.shape:
        raise DataError(
            "generation is measured on at least 8 test images, of the training images' size",
            id="evaluation.generation-too-few",
        )
    size = (test.shape[0], test.shape[1])
    random = np.random.default_rng(seed)
    named = read_features(features) if features else load_shipped_features(read_source(model, test))
    space = named or fit_component_features(known)
    n = len(test)
    some = known.subset(np.sort(random.choice(len(known), min(n, len(known)), replace=False)))
    say(f"features of {format_count(n, 'test image')}")
    real = space(test)
    rows = [_row(FLOOR, real, space(some))]
    if bar:
        say(f"{BAR} of the training images' pixels")
        rows.append(_row(BAR, real, space(simple_images(known, n, seed))))
    say("reconstructions")
    rows.append(_row("reconstructions", real, space(_set(reconstructed(model, test)))))
    drawn: Pixels | None = None
    for prior in chosen:
        say(f"{format_count(n, 'sample')} of the {prior.kind} prior")
        made = sample_images(model, prior, n, size=size, seed=seed)
        rows.append(_row(f"samples, {prior.kind} prior", real, space(_set(made))))
        drawn = made if drawn is None else drawn
    for name, pixels in (others or {}).items():
        say(name)
        rows.append(_row(name, real, space(_set(pixels[:n]))))
    assert drawn is not None
    say("nearest training images")
    memory = memorised(drawn[:MEMORY_COUNT], test, known)
    notes = () if named is not None else (
        Message("no classifier of this data comes with the package: distances are in principal "
"components", id="evaluation.no-classifier"),
    )  # fmt: skip
    return Generation(
        rows=tuple(_relative(rows)),
        memory=memory,
        features=space.facts,
        images=n,
        seed=seed,
        seconds=time.monotonic() - started,
        samples=drawn[:64],
        notes=notes,
    )


def read_source(model: Autoencoder, test: ImageSet) -> str:
    """The name of the data set: of the test images, or of what the model was trained on."""
    recorded = (model.summary.get("data") or {}).get("source")
    return test.source if load_shipped_features(test.source) is not None else str(recorded or "")


def simple_images(images: ImageSet, count: int, seed: int = 0) -> ImageSet:
    """Samples of a mixture of 100 Gaussians in the 64 first principal components of the pixels, clipped."""
    assert images.shape is not None
    rows = _flat(images.stack(range(len(images))))
    components = max(1, min(COMPONENTS, len(images) // 20))
    fitted = fit_mixture(rows, components=components, dimensions=DIMENSIONS, seed=seed)
    # Nothing of what lies outside the components: this is what PCA would make of the samples.
    plain = replace(fitted, rest=torch.zeros(()))
    drawn = draw_codes(plain, rows.shape[1:], count, seed=seed).reshape(count, *images.shape)
    return _set(to_pixels(drawn.permute(0, 3, 1, 2)))


def reconstructed(model: Autoencoder, images: ImageSet) -> Pixels:
    """`(N, H, W, C)` uint8: what the model makes of each image."""
    parts = [range(start, min(start + 500, len(images))) for start in range(0, len(images), 500)]
    return np.concatenate(
        [to_dtype(np.asarray(model.reconstruct(images.stack(part))), np.uint8) for part in parts]
    )


def memorised(made: Pixels, unseen: ImageSet, known: ImageSet) -> Memory:
    """Whether samples are nearer to training images than unseen real images are."""
    reference = _flat(known.stack(range(len(known))))
    held = _flat(sample_evenly(unseen, len(made)).stack(range(min(len(made), len(unseen)))))
    distances, rows = find_neighbours(_flat(made), reference)
    usual, _ = find_neighbours(held, reference)
    near = distances[:, 0]
    closest = near.argsort()[:SHOWN]
    pairs = np.stack(
        [
            np.stack([made[int(i)], to_dtype(known.image(int(rows[i, 0])), np.uint8)])
            for i in closest
        ]
    )  # fmt: skip
    return Memory(
        ratio=float(near.median() / usual[:, 0].median().clamp_min(1e-12)),
        copied=float((near < usual[:, 0].quantile(NEAR)).double().mean()),
        images=len(made),
        pairs=pairs,
    )


def _row(name: str, real: Tensor, made: Tensor) -> Row:
    support = precision_and_recall(real, made)
    most = min(len(real), len(made))
    return Row(
        name=name,
        frechet=frechet_distance(real, made),
        relative=None,
        energy=energy_distance(real, made),
        two_sample=nearest_neighbour_accuracy(real[:most], made[:most]),
        precision=support.precision,
        recall=support.recall,
    )


def _relative(rows: list[Row]) -> list[Row]:
    by_name = {row.name: row.frechet for row in rows}
    if BAR not in by_name or by_name[BAR] <= by_name[FLOOR]:
        return rows
    span = by_name[BAR] - by_name[FLOOR]
    return [replace(row, relative=(row.frechet - by_name[FLOOR]) / span) for row in rows]


def _set(pixels: Pixels) -> ImageSet:
    return ImageSet(pixels, tuple(map(str, range(len(pixels)))), source="made")


def _flat(pixels: Pixels) -> Tensor:
    return torch.from_numpy(to_dtype(pixels, np.float32).reshape(len(pixels), -1))
