"""Numbers per image, gathered batch by batch, and their means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.evaluation.code_metrics import CodeUse, estimate_likelihood, image_nats, likelihood_term
from isthmus.evaluation.passes import EvaluationBatch, Reconstructor, batch_generator, iter_passes
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption, undivided
from isthmus.metrics.registry import OutputBatch, image_scores
from isthmus.metrics.structure import ms_ssim_possible
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder

Numbers = npt.NDArray[np.float64]


class Scores:
    """Collects per-image numbers batch by batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, scores: dict[str, Tensor]) -> None:
        for name, values in scores.items():
            self._parts.setdefault(name, []).append(values.detach().double().cpu())

    def per_image(self) -> dict[str, Numbers]:
        """`(N,)` each, in the order in which they were added."""
        return {name: torch.cat(parts).numpy() for name, parts in self._parts.items()}

    def means(self) -> dict[str, float]:
        """The mean over images of each."""
        return {name: float(values.mean()) for name, values in self.per_image().items()}


Metrics = dict[str, float]


@dataclass(frozen=True)
class Measurement:
    """The results.

    Attributes:
        images: how many were measured: all, unless it was interrupted.
        metrics: of the model; baselines: of the corrupted input and of each rival, the same keys.
        scores: the model's, per image; code: how its code is used.
        binary: all pixels are black or white.
        unlikely: nats were left out, because images were resized.
    """

    images: int
    metrics: Metrics
    baselines: dict[str, Metrics]
    scores: dict[str, Numbers]
    code: CodeUse
    binary: bool
    unlikely: bool


@dataclass(frozen=True)
class Evaluator:
    """Measures a model under one corruption after another.

    Args:
        seed: of corruption and sampled codes; samples: codes per image for `nll_nats`, 0 for none.
        done: called with the number of images of each batch.
    """

    model: Autoencoder
    seed: int
    samples: int
    done: Callable[[int], None]

    def __call__(
        self,
        images: ImageSet,
        corruption: axes.Corruption,
        rivals: Mapping[str, Reconstructor],
        stop: Interruption | None = None,
    ) -> Measurement:
        """Measure these images.

        Args:
            stop: catches Ctrl-C; the numbers are those of the images until then.

        Raises:
            KeyboardInterrupt: interrupted before any image was measured.
        """
        running = _RunningMeasurement(self, images, corruption, rivals)
        with stop or nullcontext():
            for batch in iter_passes(self.model, images, corruption=corruption, seed=self.seed):
                running.add(batch)
                self.done(len(batch.images))
        if running.count == 0:
            raise KeyboardInterrupt
        return running.result()


class _RunningMeasurement:
    """A measurement so far."""

    def __init__(
        self,
        measure: Evaluator,
        images: ImageSet,
        corruption: axes.Corruption,
        rivals: Mapping[str, Reconstructor],
    ) -> None:
        self.model, self.seed, self.samples = measure.model, measure.seed, measure.samples
        self.images, self.rivals = images, rivals
        # The input of a pair may have other channels: a separate baseline copies it.
        self.corrupted = not corruption.is_identity and not corruption.is_paired
        self.changed = not corruption.is_identity
        self.scales = all(ms_ssim_possible(*side) for side in _image_sizes(images))
        self.own, self.likely = Scores(), Scores()
        self.others = {name: Scores() for name in rivals}
        self.code = CodeUse(self.model, len(images))
        self.binary, self.unlikely, self.dimensions, self.count = True, False, 0, 0

    def add(self, batch: EvaluationBatch) -> None:
        """The numbers of one batch."""
        model = self.model
        entropies = model.recipe.backbone.output == "sigmoid"
        target = batch.images
        compared = OutputBatch(
            output=batch.output,
            target=target,
            logits=batch.trace.raw.detach() if entropies and not batch.resized else None,
            code=batch.trace.code.values.detach(),
            is_probability=entropies,
            is_large=self.scales,
        )
        own = image_scores(compared)
        of_image = replace(compared, logits=None, code=None)
        baseline_scores = {}
        if self.corrupted:
            baseline_scores["corrupted_input"] = image_scores(replace(of_image, output=batch.corrupted))
        for name, rival in self.rivals.items():
            # Unclipped, as for the model: clipped noise would shift the input of a linear code.
            rival_input = (
                batch.corrupted if batch.resized or not self.changed else batch.trace.corrupted.input.detach()
            )
            answer = rival.reconstruct(rival_input.cpu()).to(target.device)
            baseline_scores[name] = image_scores(replace(of_image, output=answer))
        binary = bool(((target == 0) | (target == 1)).all())
        nats = self._nats(batch) if likelihood_term(model.recipe) and not batch.resized else {}
        with undivided():
            self.own.add(own)
            for name, scores in baseline_scores.items():
                self.others.setdefault(name, Scores()).add(scores)
            self.code.add(batch.trace, target.shape[-2] * target.shape[-1])
            self.binary = self.binary and binary
            self.dimensions += target.numel()
            self.unlikely = self.unlikely or batch.resized
            self.likely.add(nats)
            self.count += len(target)

    def result(self) -> Measurement:
        """The means until now; at least one batch was added."""
        is_likely = likelihood_term(self.model.recipe) is not None
        metrics = self.own.means() | self.code.metrics()
        if is_likely and not self.unlikely:
            metrics |= self.likely.means() | self._bits()
        baselines = {name: scores.means() for name, scores in self.others.items()}
        unlikely = self.unlikely and is_likely
        return Measurement(
            self.count, metrics, baselines, self.own.per_image(), self.code, self.binary, unlikely
        )

    def _nats(self, batch: EvaluationBatch) -> dict[str, Tensor]:
        nats = {"image_nats": image_nats(self.model, batch.trace.raw, batch.images)}
        if self.model.recipe.bottleneck.is_stochastic:
            generator = batch_generator(self.seed + 1, int(batch.indices[0]), batch.images.device)
            bounds = estimate_likelihood(self.model, batch.trace, max(1, self.samples), generator)
            nats["elbo"] = bounds.elbo
            if self.samples > 0:
                nats["nll_nats"] = bounds.nll
        return nats

    def _bits(self) -> Metrics:
        per_image = self.likely.per_image()
        if "nll_nats" not in per_image:
            return {}
        bits = float(per_image["nll_nats"].sum()) / (self.dimensions * math.log(2))
        term = likelihood_term(self.model.recipe)
        if term is not None and term.is_density and self.images.dtype.kind == "u":
            # A density on [0, 1] becomes a probability of levels when it is spread over one level's width.
            bits += math.log2(np.iinfo(self.images.dtype).max)
        return {"bits_per_dim": bits}


def _image_sizes(images: ImageSet) -> set[tuple[int, int]]:
    if images.shape is not None:
        return {(images.shape[0], images.shape[1])}
    shapes = (images.image(index).shape for index in range(len(images)))
    return {(shape[0], shape[1]) for shape in shapes}
