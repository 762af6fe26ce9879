"""How good new images are: measured against unseen real ones, beside what real and simple images score.

Every set is compared with the same test images in the same features: samples of the model's priors, its
reconstructions, real training images (the floor), samples of one Gaussian of the pixels (the bar) and of a
Gaussian mixture in a principal subspace of them. `relative` is 0 at the floor and 1 at the bar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.evaluation.feature_network import ComparisonFeatures, find_features, load_shipped_features
from isthmus.generation.codes import check_generates, convert_for_model
from isthmus.generation.mixture import fit_mixture
from isthmus.generation.prior import Prior, draw_codes
from isthmus.generation.prior_store import list_priors, read_prior
from isthmus.generation.sampling import sample_images, to_pixels
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.images.subsets import sample_evenly
from isthmus.metrics.neighbours import find_neighbours
from isthmus.metrics.set_distances import (
    energy_distance,
    frechet_distance,
    nearest_neighbour_accuracy,
    precision_and_recall,
)
from isthmus.metrics.structure import fine_detail
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.wording import format_count

COUNT = 10_000
MEMORY_COUNT = 1000
DIMENSIONS, COMPONENTS = 64, 100
SHOWN = 8
_DRAWN = 500  # images that are drawn or measured together
NEAR = 0.05  # quantile of unseen real images' distances below which a sample counts as copied
FLOOR, BAR = "real training images", "one Gaussian of the pixels"
MIXTURE = f"PCA{DIMENSIONS} + GMM{COMPONENTS}"


@dataclass(frozen=True)
class Row:
    """One set of images against the test images; see `isthmus.metrics` for each.

    Attributes:
        detail: fine detail (`isthmus.metrics.structure.fine_detail`) over that of the test images.
        copied: share nearer to a training image, in pixels, than all but 5 % of unseen real images; by chance
            .05. Null for training images and reconstructions.
    """

    name: str
    frechet: float
    relative: float | None
    energy: float
    two_sample: float
    precision: float
    recall: float
    detail: float
    copied: float | None = None


@dataclass(frozen=True)
class Memory:
    """Distances of samples to their nearest training image, beside those of unseen real images; in pixels.

    Attributes:
        ratio: median distance of samples over that of held-out images; far below 1 means copies.
        copied: share of samples nearer than all but 5 % of held-out images are; by chance .05.
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
        header = ["images", "FD", "relative", "energy", "1-NN", "precision", "recall", "detail", "copied"]
        rows = [[getattr(row, column.name) for column in fields(Row)] for row in self.rows]
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
            data set, else a network that is trained now, on the training images. Where the file is not there,
            that network is written to it.
        count: at most so many images in each set.
        seed: of draws and subsets.
        bar: also draw from the Gaussians of pixels, which takes about two minutes for 60,000 images.
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
    train_images = convert_for_model(model, train)
    if len(test) < 8 or test.shape is None or train_images.shape != test.shape:
        raise DataError(
            "generation is measured on at least 8 test images, of the training images' size",
            id="evaluation.generation-too-few",
        )
    size = (test.shape[0], test.shape[1])
    random = np.random.default_rng(seed)
    say("features")
    space = find_features(features, read_source(model, test), train_images, test)
    n = len(test)
    some = train_images.subset(
        np.sort(random.choice(len(train_images), min(n, len(train_images)), replace=False))
    )
    judge = _Judge(space, test, train_images)
    rows = [judge.row(FLOOR, some.stack(range(len(some))), is_new=False)]
    if bar:
        say("Gaussians of the training images' pixels")
        rows.append(judge.row(BAR, draw_gaussian(train_images, n, seed)))
        rows.append(judge.row(MIXTURE, simple_images(train_images, n, seed)))
    say("reconstructions")
    rows.append(judge.row("reconstructions", reconstructed(model, test), is_new=False))
    drawn: Pixels | None = None
    for prior in chosen:
        say(f"{format_count(n, 'sample')} of the {prior.kind} prior")
        made = sample_images(model, prior, n, size=size, seed=seed)
        rows.append(judge.row(f"samples, {prior.kind} prior", made))
        drawn = made if drawn is None else drawn
    for name, pixels in (others or {}).items():
        say(name)
        rows.append(judge.row(name, pixels[:n]))
    assert drawn is not None
    return Generation(
        rows=tuple(_relative(rows)),
        memory=judge.memory(drawn),
        features=space.facts,
        images=n,
        seed=seed,
        seconds=time.monotonic() - started,
        samples=drawn[:64],
    )


def read_source(model: Autoencoder, test: ImageSet) -> str:
    """The name of the data set: of the test images, or of what the model was trained on."""
    recorded = (model.summary.get("data") or {}).get("source")
    return test.source if load_shipped_features(test.source) is not None else str(recorded or "")


def draw_gaussian(images: ImageSet, count: int, seed: int = 0) -> Pixels:
    """`(count, H, W, C)` uint8 from one Gaussian with the mean and covariance of the pixels, clipped."""
    assert images.shape is not None
    rows = _flat(images.stack(range(len(images))))
    generator = torch.Generator().manual_seed(seed)
    mean = rows.mean(0)
    rows = rows - mean
    # A normal mixture of n centred images has exactly their covariance: no matrix of it is needed.
    parts = [
        mean + torch.randn(size, len(rows), generator=generator) @ rows / max(1, len(rows) - 1) ** 0.5
        for size in (min(_DRAWN, count - start) for start in range(0, count, _DRAWN))
    ]
    return to_pixels(torch.cat(parts).reshape(count, *images.shape).permute(0, 3, 1, 2))


def simple_images(images: ImageSet, count: int, seed: int = 0) -> Pixels:
    """Samples of a mixture of 100 Gaussians in the 64 first principal components of the pixels, clipped."""
    assert images.shape is not None
    rows = _flat(images.stack(range(len(images))))
    components = max(1, min(COMPONENTS, len(images) // 20))
    fitted = fit_mixture(rows, components=components, dimensions=DIMENSIONS, seed=seed, may_share=False)
    # Nothing of what lies outside the components: this is what PCA would make of the samples.
    plain = replace(fitted, rest=torch.zeros(()))
    drawn = draw_codes(plain, rows.shape[1:], count, seed=seed).reshape(count, *images.shape)
    return to_pixels(drawn.permute(0, 3, 1, 2))


def reconstructed(model: Autoencoder, images: ImageSet) -> Pixels:
    """`(N, H, W, C)` uint8: what the model makes of each image."""
    parts = [range(start, min(start + 500, len(images))) for start in range(0, len(images), 500)]
    return np.concatenate(
        [to_dtype(np.asarray(model.reconstruct(images.stack(part))), np.uint8) for part in parts]
    )


class _Judge:
    """Compares sets of images with the test images, in features and in pixels.

    Args:
        space: the features.
        test: unseen real images.
        train: training images of the same size.
    """

    def __init__(self, space: ComparisonFeatures, test: ImageSet, train: ImageSet) -> None:
        self.space, self.train = space, train
        self.real = space(test)
        self.detail = _mean_detail(test.stack(range(len(test))))
        self.reference = _flat(train.stack(range(len(train))))
        held = sample_evenly(test, MEMORY_COUNT)
        self.usual = find_neighbours(_flat(held.stack(range(len(held)))), self.reference)[0][:, 0]

    def row(self, name: str, made: Pixels, *, is_new: bool = True) -> Row:
        """The row of `made (n, H, W, C)`; images that were not made anew are no copies."""
        features = self.space(_set(made))
        support = precision_and_recall(self.real, features)
        most = min(len(self.real), len(features))
        return Row(
            name=name,
            frechet=frechet_distance(self.real, features),
            relative=None,
            energy=energy_distance(self.real, features),
            two_sample=nearest_neighbour_accuracy(self.real[:most], features[:most]),
            precision=support.precision,
            recall=support.recall,
            detail=_mean_detail(made) / max(self.detail, 1e-12),
            copied=self.memory(made).copied if is_new else None,
        )

    def memory(self, made: Pixels) -> Memory:
        """Whether made images are nearer to training images than unseen real images are."""
        made = made[:MEMORY_COUNT]
        distances, rows = find_neighbours(_flat(made), self.reference)
        near = distances[:, 0]
        closest = near.argsort()[:SHOWN]
        pairs = [
            np.stack([made[int(i)], to_dtype(self.train.image(int(rows[i, 0])), np.uint8)]) for i in closest
        ]
        return Memory(
            ratio=float(near.median() / self.usual.median().clamp_min(1e-12)),
            copied=float((near < self.usual.quantile(NEAR)).double().mean()),
            images=len(made),
            pairs=np.stack(pairs),
        )


def _mean_detail(pixels: Pixels) -> float:
    parts = (pixels[start : start + _DRAWN] for start in range(0, len(pixels), _DRAWN))
    images = (torch.from_numpy(to_dtype(part, np.float32)).permute(0, 3, 1, 2) for part in parts)
    return float(torch.cat([fine_detail(part) for part in images]).mean())


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
