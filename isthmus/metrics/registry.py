"""Every metric of a model, registered once: its name, label, direction and computation.

Tables, the JSON of `isthmus evaluate`, the columns of `isthmus compare` and the objectives of `isthmus tune`
follow from here. A metric of one's own is one call of `register_metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from isthmus.errors import UsageError
from isthmus.metrics import pixel_metrics, structure

PSNR_CEILING = 100.0  # dB; an exact reconstruction would make every mean infinite
LEAST_PROBABILITY = 1 / 512  # half a level of 8 bits

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, kw_only=True)
class OutputBatch:
    """A batch of images with the outputs of a model or of a baseline.

    Attributes:
        output, target: `(N, C, H, W)` in [0, 1].
        logits: the output before its sigmoid, for an exact cross-entropy. Without them outputs are read as
            probabilities and kept half a level of 8 bits away from 0 and 1: one wrongly certain pixel would
            outweigh all others.
        code: `(N, C)` or `(N, C, h, w)` the model's code; None of what has none.
        is_probability: the model's outputs can be read as probabilities.
        is_large: every image of the set is large enough for the five scales of MS-SSIM.
    """

    output: Tensor
    target: Tensor
    logits: Tensor | None = None
    code: Tensor | None = None
    is_probability: bool = False
    is_large: bool = False

    @cached_property
    def cross_entropy(self) -> Tensor:
        """`(N,)` nats per pixel-channel."""
        target = self.target.clamp(0, 1)
        if self.logits is not None:
            return pixel_metrics.bce_from_logits(self.logits, target)
        return pixel_metrics.bce(self.output.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY), target)


def _always(_: OutputBatch) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in JSON and as an objective.
        label, unit: what people read.
        better: "higher", "lower", or empty where neither is; an objective without direction is made small.
        compute: `OutputBatch -> (N,)`, one number per image; the metric is their mean. None where the number
            is counted otherwise, in `evaluation` (of a code, a likelihood, or labels).
        applies: whether there is such a number; the same for all images of a set.
        in_short: also in the narrow tables of `isthmus compare`.
        objective: a plain word for it as an objective of `isthmus tune`.
    """

    name: str
    label: str
    unit: str = ""
    better: Better = ""
    compute: Callable[[OutputBatch], Tensor] | None = None
    applies: Callable[[OutputBatch], bool] = _always
    in_short: bool = False
    objective: str = ""

    def __str__(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: dict[str, Metric] = {}


def register_metric(metric: Metric) -> None:
    """Measure a further metric wherever metrics are measured.

    Raises:
        UsageError: its name, or its word as an objective, is taken.

    Example:
        >>> from isthmus.metrics.registry import Metric, register_metric
        >>> worst = lambda batch: (batch.output - batch.target).abs().flatten(1).amax(1)
        >>> register_metric(Metric(name="worst_pixel", label="worst pixel", better="lower", compute=worst))
    """
    words = {
        word for registered in METRICS.values() for word in (registered.name, registered.objective) if word
    }
    taken_names = words & {metric.name, metric.objective}
    if taken_names:
        raise UsageError(
            "metric '{name}' exists already: choose another name",
            id="metric.name-taken",
            name=min(taken_names),
        )
    METRICS[metric.name] = metric


def image_scores(batch: OutputBatch) -> dict[str, Tensor]:
    """Every metric that is computed from images and applies, `(N,)` each."""
    computed = ((name, metric) for name, metric in METRICS.items() if metric.applies(batch))
    return {name: metric.compute(batch) for name, metric in computed if metric.compute is not None}


def label(name: str) -> str:
    """The readable name of a metric's key."""
    return str(METRICS.get(name, name))


def in_order(names: Iterable[str]) -> list[str]:
    """The keys as a table shows them: as they were registered, unknown ones last."""
    present = list(names)
    return [
        *(name for name in METRICS if name in present),
        *(name for name in present if name not in METRICS),
    ]


def _is_probability(batch: OutputBatch) -> bool:
    return batch.is_probability


for _metric in (
    Metric(
        name="psnr",
        label="PSNR",
        unit="dB",
        better="higher",
        compute=lambda batch: pixel_metrics.psnr(batch.output, batch.target, at_most=PSNR_CEILING),
        in_short=True,
    ),
    Metric(
        name="ssim",
        label="SSIM",
        better="higher",
        compute=lambda batch: structure.ssim(batch.output, batch.target),
        in_short=True,
    ),
    Metric(
        name="ms_ssim",
        label="MS-SSIM",
        better="higher",
        compute=lambda batch: structure.ms_ssim(batch.output, batch.target),
        applies=lambda batch: batch.is_large,
    ),
    Metric(
        name="mse",
        label="MSE",
        better="lower",
        compute=lambda batch: pixel_metrics.mse(batch.output, batch.target),
        in_short=True,
        objective="reconstruction",
    ),
    Metric(
        name="mae",
        label="MAE",
        better="lower",
        compute=lambda batch: pixel_metrics.mae(batch.output, batch.target),
    ),
    Metric(
        name="bce",
        label="cross-entropy",
        unit="nats/value",
        better="lower",
        compute=lambda batch: batch.cross_entropy,
        applies=_is_probability,
        in_short=True,
    ),
    Metric(
        name="bce_excess",
        label="cross-entropy above floor",
        unit="nats/value",
        better="lower",
        compute=lambda batch: batch.cross_entropy - pixel_metrics.binary_entropy(batch.target.clamp(0, 1)),
        applies=_is_probability,
    ),
    Metric(name="kl", label="KL", unit="nats/image"),
    Metric(name="active_units", label="active units", better="higher"),
    Metric(name="image_nats", label="−ln p(x|z)", unit="nats/image", better="lower"),
    Metric(name="elbo", label="ELBO", unit="nats/image", better="higher"),
    Metric(name="nll_nats", label="−ln p(x), at most", unit="nats/image", better="lower"),
    Metric(name="bits_per_dim", label="bits per value", better="lower"),
    Metric(name="nonzero", label="numbers not zero", unit="per image", objective="sparsity"),
    Metric(name="dead_units", label="dead units", better="lower"),
    Metric(name="rate_nats", label="estimated rate", unit="nats/image", better="lower"),
    Metric(name="rate_bpp", label="estimated rate", unit="bits/pixel", better="lower", objective="rate"),
    Metric(name="numbers", label="numbers of the code", better="lower"),
    Metric(name="probe", label="accuracy of a probe", better="higher"),
):
    register_metric(_metric)
