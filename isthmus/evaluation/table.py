"""`isthmus.evaluate_model`: every number about a model on a set of images, beside baselines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.errors import DataError
from isthmus.evaluation.likelihood import likelihood_term
from isthmus.evaluation.measure import Measure, Metrics
from isthmus.evaluation.passes import evenly
from isthmus.evaluation.privacy import membership
from isthmus.evaluation.report.facts import data_facts, environment, model_facts
from isthmus.evaluation.rivals import Rival, fit_rivals
from isthmus.evaluation.scores import Numbers
from isthmus.evaluation.training_data import read_for, training_images
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited

SCHEMA = "isthmus.evaluate/1"
GAP_IMAGES = 2000
WORST = 10

Listener = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What was measured; `to_dict` is the JSON of `isthmus evaluate`.

    Attributes:
        model, data: facts about both.
        metrics: means over images; under the recipe's own corruption where it has one.
        baselines: the same keys for `pca`, `mean_image`, `corrupted_input`, as far as they apply.
        clean: the same metrics without corruption, or None for a recipe that has none.
        gap: the same metrics on training images, and test minus train; None when they were not found.
        privacy: how training images are told from others, `isthmus.evaluation.privacy`; None unless asked.
        code: statistics of the code, see `isthmus.metrics.codes.code_statistics`.
        notes: what a reader must know about these numbers.
        names: of the images; scores: per image, in their order.
        variances: of each unit of the code over the images.
        seed, seconds, environment: how it was measured.
    """

    model: dict[str, Any]
    data: dict[str, Any]
    metrics: Metrics
    baselines: dict[str, Metrics]
    clean: Metrics | None
    gap: dict[str, Any] | None
    privacy: dict[str, Any] | None
    code: dict[str, float]
    notes: tuple[str, ...]
    seed: int
    seconds: float
    environment: dict[str, Any]
    names: tuple[str, ...] = field(repr=False)
    scores: dict[str, Numbers] = field(repr=False)
    variances: Numbers = field(repr=False)

    def worst(self, count: int = WORST) -> list[int]:
        """Indices of the images with the greatest squared error, greatest first."""
        return [int(index) for index in np.argsort(-self.scores["mse"], kind="stable")[:count]]

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.evaluate/1"."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "data": self.data,
            "metrics": self.metrics,
            "baselines": self.baselines,
            "clean": self.clean,
            "gap": self.gap,
            "privacy": self.privacy,
            "code": self.code,
            "worst": [
                {
                    "name": self.names[i],
                    "mse": float(self.scores["mse"][i]),
                    "psnr": float(self.scores["psnr"][i]),
                }
                for i in self.worst()
            ],
            "notes": list(self.notes),
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "environment": self.environment,
        }


@limited()
def evaluate(
    model: Autoencoder,
    data: Any,
    *,
    train: Any = None,
    nll_samples: int = 0,
    seed: int = 0,
    limit: int | None = None,
    privacy: bool = False,
    listener: Listener | None = None,
) -> Evaluation:
    """Measure a model on images it was not trained on.

    Codes are deterministic and the model is in evaluation mode. Every metric is a mean over images of one
    number per image, against the images as given, on [0, 1]: `psnr` is a mean of decibels, each at most 100.

    Args:
        model: any autoencoder.
        data: what `isthmus.read` takes; sizes may be mixed.
        train: the training images, for baselines and gap; by default they are looked for where the model says
            it was trained.
        nll_samples: codes per image for `nll_nats` and `bits_per_dim` of a variational model whose image term
            is a likelihood; 0 leaves both out.
        seed: of corruption and sampled codes.
        limit: at most so many images, evenly spaced.
        privacy: test whether losses give away what was trained on; `data` must be of the same source as the
            training images and not among them.
        listener: called with (images done, images in all).

    Raises:
        DataError: unreadable images, or of other channels than the model's.
    """
    started = time.monotonic()
    given = read_for(model, data)
    images = evenly(given, limit)
    known, why = training_images(model, train)
    if privacy and known is None:
        raise DataError(
            "membership is tested against the training images, and they were not found",
            hint="add --train DATA",
        )
    notes = [*given.notes, *([f"{why}: no PCA, mean image and train/test gap"] if why else [])]
    rivals: dict[str, Rival] = {}
    total, share = len(images), 0
    probe = None if known is None else evenly(known, GAP_IMAGES)
    corrupted = not model.recipe.corruption.is_identity
    everything = total * (2 if corrupted else 1) + (0 if probe is None else len(probe))

    def done(count: int) -> None:
        nonlocal share
        share += count
        if listener is not None:
            listener(share, everything)

    if known is not None:
        rivals = fit_rivals(model, known, images, seed=seed)
        same = train is None and given.source == known.source
        notes += _overlap(given, known, same)
    measure = Measure(model, seed, nll_samples, done)
    main = measure(images, model.recipe.corruption, rivals)
    clean = measure(images, axes.NoCorruption(), {}).metrics if corrupted else None
    gap, membership_found = None, None
    if probe is not None:
        seen = measure(probe, model.recipe.corruption, {})
        gap = _gap(main.metrics, seen.metrics, len(probe))
        if privacy and known is not None:
            new = ~np.isin(images.hashes(), known.hashes())
            membership_found = membership(seen.scores["mse"], main.scores["mse"][new]).to_dict()
    likely = likelihood_term(model.recipe)
    if likely is not None and likely.needs_probabilities and main.binary is False:
        notes.append(
            f"the images are not black and white: nats under {likely.name} are cross-entropies, "
            "not probabilities"
        )
    if main.unlikely:
        notes.append("images of another size than the model's were resized: no nats are given")
    return Evaluation(
        model=model_facts(model),
        data=data_facts(given, images, main.binary),
        metrics=main.metrics,
        baselines=main.baselines,
        clean=clean,
        gap=gap,
        privacy=membership_found,
        code=main.code.statistics().as_dict(),
        notes=tuple(notes),
        seed=seed,
        seconds=time.monotonic() - started,
        environment=environment(),
        names=images.names,
        scores=main.scores,
        variances=main.code.variances().double().numpy(),
    )


def _gap(test: Metrics, train: Metrics, count: int) -> dict[str, Any]:
    shared = [name for name in test if name in train]
    return {
        "images": count,
        "train": train,
        "difference": {name: test[name] - train[name] for name in shared},
        "mse_ratio": test["mse"] / train["mse"] if train["mse"] > 0 else None,
    }


def _overlap(images: ImageSet, train: ImageSet, same_source: bool) -> list[str]:
    known = int(np.isin(images.hashes(), train.hashes()).sum())
    if known == 0:
        # Training resizes: then its images have other pixels than those it began with.
        told = f"the model was trained on {train.source} too: this is no test of what it makes of new images"
        return [told] if same_source else []
    return [
        f"{known:,} of the {len(images):,} images are among the training images: this is no test on those"
    ]
