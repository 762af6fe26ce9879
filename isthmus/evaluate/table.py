"""`isthmus.evaluate_model`: every number about a model on a set of images, beside baselines."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.evaluate.code_use import CodeUse
from isthmus.evaluate.environment import environment
from isthmus.evaluate.likelihood import estimate, image_nats, likelihood_term
from isthmus.evaluate.passes import Pass, batch_generator, evenly, largest, passes
from isthmus.evaluate.rivals import Rival, fit_rivals
from isthmus.evaluate.scores import Numbers, Scores, image_scores
from isthmus.evaluate.training_data import read_for, training_images
from isthmus.images.store import ImageSet
from isthmus.measures.structure import ms_ssim_possible
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.bottlenecks.gaussian import GaussianBottleneck

SCHEMA = "isthmus.evaluate/1"
GAP_IMAGES = 2000
WORST = 10

Metrics = dict[str, float]
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
        code: statistics of the code, see `isthmus.measures.codes.code_statistics`.
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
            "code": self.code,
            "worst": [
                {"name": self.names[i], "mse": float(self.scores["mse"][i]), "psnr": float(self.scores["psnr"][i])}
                for i in self.worst()
            ],
            "notes": list(self.notes),
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "environment": self.environment,
        }


def evaluate(
    model: Autoencoder,
    data: Any,
    *,
    train: Any = None,
    nll_samples: int = 0,
    seed: int = 0,
    limit: int | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Measure a model on images it was not trained on.

    Codes are deterministic and the model is in evaluation mode. Every metric is a mean over images of a number per
    image (so `psnr` is a mean of decibels, each at most 100), against the images as given, on [0, 1].

    Args:
        model: any autoencoder.
        data: what `isthmus.read` takes; sizes may be mixed.
        train: the training images, for baselines and gap; by default they are looked for where the model says.
        nll_samples: codes per image for `nll_nats` and `bits_per_dim` of a variational model whose image term is a
            likelihood; 0 leaves both out.
        seed: of corruption and sampled codes.
        limit: at most so many images, evenly spaced.
        listener: called with (images done, images in all).

    Raises:
        DataError: unreadable images, or of other channels than the model's.
    """
    started = time.monotonic()
    given = read_for(model, data)
    images = evenly(given, limit)
    known, why = training_images(model, train)
    notes = [*given.notes, *([why] if why else [])]
    rivals: dict[str, Rival] = {}
    total, share = len(images), 0
    probe = None if known is None else evenly(known, GAP_IMAGES)
    corrupted = not isinstance(model.recipe.corruption, axes.NoCorruption)
    everything = total * (2 if corrupted else 1) + (0 if probe is None else len(probe))

    def done(count: int) -> None:
        nonlocal share
        share += count
        if listener is not None:
            listener(share, everything)

    if known is not None:
        rivals = fit_rivals(model, known, images, seed=seed)
        notes += _overlap(given, known)
    measure = _Measure(model, seed, nll_samples, done)
    main = measure(images, model.recipe.corruption, rivals)
    clean = measure(images, axes.NoCorruption(), {}).metrics if corrupted else None
    gap = None
    if probe is not None:
        gap = _gap(main.metrics, measure(probe, model.recipe.corruption, {}).metrics, len(probe))
    if likelihood_term(model.recipe) == "bce" and main.binary is False:
        notes.append("the images are not black and white: nats under bce are cross-entropies, not probabilities")
    if main.unlikely:
        notes.append("images of another size than the model's were resized: no nats are given")
    return Evaluation(
        model=_model_facts(model),
        data=_data_facts(given, images, main.binary),
        metrics=main.metrics,
        baselines=main.baselines,
        clean=clean,
        gap=gap,
        code=main.code.statistics().as_dict(),
        notes=tuple(notes),
        seed=seed,
        seconds=time.monotonic() - started,
        environment=environment(),
        names=images.names,
        scores=main.scores,
        variances=main.code.variances().double().numpy(),
    )


@dataclass(frozen=True)
class _Measured:
    metrics: Metrics
    baselines: dict[str, Metrics]
    scores: dict[str, Numbers]
    code: CodeUse
    binary: bool
    unlikely: bool


@dataclass(frozen=True)
class _Measure:
    """One pass over a set, with everything that is counted on the way."""

    model: Autoencoder
    seed: int
    samples: int
    done: Callable[[int], None]

    def __call__(self, images: ImageSet, corruption: axes.Corruption, rivals: dict[str, Rival]) -> _Measured:
        model = self.model
        entropies = model.recipe.backbone.output == "sigmoid"
        scales = all(ms_ssim_possible(*side) for side in _sides(images))
        own, others = Scores(), {name: Scores() for name in rivals}
        corrupted = not isinstance(corruption, axes.NoCorruption)
        code = CodeUse(model, len(images))
        likely, binary, unlikely, dimensions = Scores(), True, False, 0
        for one in passes(model, images, corruption=corruption, seed=self.seed):
            logits = one.trace.raw.detach() if entropies and not one.resized else None
            target = one.images
            own.add(image_scores(one.output, target, logits=logits, entropies=entropies, scales=scales))
            if corrupted:
                others.setdefault("corrupted_input", Scores()).add(
                    image_scores(one.seen, target, logits=None, entropies=entropies, scales=scales)
                )
            for name, rival in rivals.items():
                # The unclipped input, as the model has it: clipping noise would shift what a linear code sees.
                seen = one.seen if one.resized or not corrupted else one.trace.corrupted.input.detach()
                answer = rival.reconstruct(seen.cpu()).to(target.device)
                others[name].add(
                    image_scores(answer, target, logits=None, entropies=entropies, scales=scales)
                )
            code.add(one.trace, one.images.shape[-2] * one.images.shape[-1])
            binary = binary and bool(((target == 0) | (target == 1)).all())
            dimensions += target.numel()
            unlikely = unlikely or one.resized
            if likelihood_term(model.recipe) and not one.resized:
                likely.add(self._nats(one))
            self.done(len(one.images))
        metrics = own.means() | code.metrics()
        if likelihood_term(model.recipe) and not unlikely:
            metrics |= likely.means() | self._bits(likely, dimensions, images)
        baselines = {name: scores.means() for name, scores in others.items()}
        unlikely = unlikely and likelihood_term(model.recipe) is not None
        return _Measured(metrics, baselines, own.per_image(), code, binary, unlikely)

    def _nats(self, one: Pass) -> dict[str, Tensor]:
        nats = {"image_nats": image_nats(self.model, one.trace.raw.detach(), one.images)}
        if isinstance(self.model.bottleneck, GaussianBottleneck):
            generator = batch_generator(self.seed + 1, int(one.indices[0]), one.images.device)
            found = estimate(self.model, one.trace, max(1, self.samples), generator)
            nats["elbo"] = found.elbo
            if self.samples > 0:
                nats["nll_nats"] = found.nll
        return nats

    def _bits(self, likely: Scores, dimensions: int, images: ImageSet) -> Metrics:
        per_image = likely.per_image()
        if "nll_nats" not in per_image:
            return {}
        bits = float(per_image["nll_nats"].sum()) / (dimensions * math.log(2))
        if likelihood_term(self.model.recipe) == "gaussian-nll" and images.dtype.kind == "u":
            # A density on [0, 1] becomes a probability of levels when it is spread over one level's width.
            bits += math.log2(np.iinfo(images.dtype).max)
        return {"bits_per_dim": bits}


def _gap(test: Metrics, train: Metrics, count: int) -> dict[str, Any]:
    shared = [name for name in test if name in train]
    return {
        "images": count,
        "train": train,
        "difference": {name: test[name] - train[name] for name in shared},
        "mse_ratio": test["mse"] / train["mse"] if train["mse"] > 0 else None,
    }


def _overlap(images: ImageSet, train: ImageSet) -> list[str]:
    known = int(np.isin(images.hashes(), train.hashes()).sum())
    if known == 0:
        return []
    return [f"{known:,} of the {len(images):,} images are among the training images: this is no test on those"]


def _model_facts(model: Autoencoder) -> dict[str, Any]:
    parameters = {
        part: sum(p.numel() for p in module.parameters())
        for part, module in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    summary = model.summary
    return {
        "recipe": model.recipe.name,
        "code": model.recipe.code,
        "size": list(model.size),
        "channels": model.channels,
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_encoder": parameters["encoder"],
        "parameters_decoder": parameters["decoder"],
        "trained_on": (summary.get("data") or {}).get("source"),
        "training_images": (summary.get("data") or {}).get("images"),
        "steps": summary.get("steps"),
        "training_seconds": summary.get("seconds"),
        "precision": (summary.get("settled") or {}).get("precision"),
    }


def _data_facts(given: ImageSet, images: ImageSet, binary: bool) -> dict[str, Any]:
    return {
        "source": given.source,
        "images": len(images),
        "of": len(given),
        "size": list(largest(images)),
        "sizes_differ": images.shape is None,
        "channels": images.channels,
        "type": str(images.dtype),
        "black_and_white": binary,
        "fingerprint": given.fingerprint(),
        "skipped": [{"name": s.name, "reason": s.reason} for s in given.skipped],
    }


def _sides(images: ImageSet) -> set[tuple[int, int]]:
    if images.shape is not None:
        return {(images.shape[0], images.shape[1])}
    shapes = (images.image(index).shape for index in range(len(images)))
    return {(shape[0], shape[1]) for shape in shapes}
