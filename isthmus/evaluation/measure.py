"""One pass over a set of images, with every number that is counted on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from isthmus.evaluation.code_use import CodeUse
from isthmus.evaluation.likelihood import estimate, image_nats, likelihood_term
from isthmus.evaluation.passes import Pass, batch_generator, passes
from isthmus.evaluation.rivals import Rival
from isthmus.evaluation.scores import Numbers, Scores
from isthmus.images.store import ImageSet
from isthmus.metrics.registry import OutputBatch, image_scores
from isthmus.metrics.structure import ms_ssim_possible
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder

Metrics = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """What came of it.

    Attributes:
        metrics: of the model; baselines: of the corrupted input and of each rival, the same keys.
        scores: the model's, per image; code: how its code is used.
        binary: all pixels are black or white.
        unlikely: nats were left out, because images were resized.
    """

    metrics: Metrics
    baselines: dict[str, Metrics]
    scores: dict[str, Numbers]
    code: CodeUse
    binary: bool
    unlikely: bool


@dataclass(frozen=True)
class Measure:
    """Measures a model under one corruption after another.

    Args:
        seed: of corruption and sampled codes; samples: codes per image for `nll_nats`, 0 for none.
        done: told how many images each batch held.
    """

    model: Autoencoder
    seed: int
    samples: int
    done: Callable[[int], None]

    def __call__(self, images: ImageSet, corruption: axes.Corruption, rivals: dict[str, Rival]) -> Measured:
        model = self.model
        entropies = model.recipe.backbone.output == "sigmoid"
        scales = all(ms_ssim_possible(*side) for side in _sides(images))
        own, others = Scores(), {name: Scores() for name in rivals}
        corrupted = not corruption.is_identity
        code = CodeUse(model, len(images))
        likely, binary, unlikely, dimensions = Scores(), True, False, 0
        for one in passes(model, images, corruption=corruption, seed=self.seed):
            logits = one.trace.raw.detach() if entropies and not one.resized else None
            target = one.images
            values = one.trace.code.values.detach()
            compared = OutputBatch(
                output=one.output,
                target=target,
                logits=logits,
                code=values,
                is_probability=entropies,
                is_large=scales,
            )
            own.add(image_scores(compared))
            of_image = replace(compared, logits=None, code=None)
            if corrupted:
                rival_scores = image_scores(replace(of_image, output=one.seen))
                others.setdefault("corrupted_input", Scores()).add(rival_scores)
            for name, rival in rivals.items():
                # Unclipped, as the model has it: clipping noise would shift what a linear code sees.
                seen = one.seen if one.resized or not corrupted else one.trace.corrupted.input.detach()
                answer = rival.reconstruct(seen.cpu()).to(target.device)
                others[name].add(image_scores(replace(of_image, output=answer)))
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
        return Measured(metrics, baselines, own.per_image(), code, binary, unlikely)

    def _nats(self, one: Pass) -> dict[str, Tensor]:
        nats = {"image_nats": image_nats(self.model, one.trace.raw, one.images)}
        if self.model.recipe.bottleneck.is_stochastic:
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
        term = likelihood_term(self.model.recipe)
        if term is not None and term.is_density and images.dtype.kind == "u":
            # A density on [0, 1] becomes a probability of levels when it is spread over one level's width.
            bits += math.log2(np.iinfo(images.dtype).max)
        return {"bits_per_dim": bits}


def _sides(images: ImageSet) -> set[tuple[int, int]]:
    if images.shape is not None:
        return {(images.shape[0], images.shape[1])}
    shapes = (images.image(index).shape for index in range(len(images)))
    return {(shape[0], shape[1]) for shape in shapes}
