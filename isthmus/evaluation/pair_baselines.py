"""What a model of pairs is compared with: a copy of the input, and a linear map of patches.

The linear map is fitted to the training pairs when the training ends, and travels in the model's file as the
attachment `linear-map`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from isthmus.errors import ModelFileError
from isthmus.evaluation.passes import Reconstructor, largest_size
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.metrics.patch_map import PatchMap
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors, whole_number
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.backbones.interface import with_channels

ATTACHMENT = "linear-map"
FITTED_PIXELS = 2**21  # of evenly spaced pairs
MAX_SIDE_PX = 63


def store_linear_map(model: Autoencoder, pairs: ImageSet) -> None:
    """Fit the linear map to `pairs` and keep it in the model."""
    height, width = largest_size(pairs)
    count = max(1, min(len(pairs), FITTED_PIXELS // (height * width)))
    rows = np.linspace(0, len(pairs) - 1, count).round().astype(np.int64)
    fitted = PatchMap().fit(_batches(pairs.subset(rows)))
    assert fitted.weight is not None and fitted.bias is not None
    tensors = {"weight": fitted.weight, "bias": fitted.bias}
    model.attachments[ATTACHMENT] = Attachment({"side": fitted.side}, tensors)


def load_linear_map(model: Autoencoder) -> PatchMap | None:
    """The linear map in a model, or None where there is none.

    Raises:
        ModelFileError: it is damaged.
    """
    held = model.attachments.get(ATTACHMENT)
    if held is None:
        return None
    try:
        side = whole_number(held.facts, "side", 1, MAX_SIDE_PX)
        rules = {
            "weight": Rule(model.output_channels, model.channels, side, side),
            "bias": Rule(model.output_channels),
        }
        check_tensors(held.tensors, rules)
    except DAMAGE as error:
        raise ModelFileError(
            "the model's attachment {attachment} is damaged: {reason}",
            id="model-file.attachment",
            attachment=ATTACHMENT,
            reason=error,
        ) from None
    found = PatchMap(side)
    found.weight, found.bias = held.tensors["weight"], held.tensors["bias"]
    return found


def pair_baselines_of(model: Autoencoder) -> dict[str, Reconstructor]:
    """`copy`, and `linear_map` where the model holds one.

    Raises:
        ModelFileError: its linear map is damaged.
    """
    found: dict[str, Reconstructor] = {"copy": Copy(model.output_channels)}
    fitted = load_linear_map(model)
    if fitted is not None:
        found["linear_map"] = LinearMap(fitted)
    return found


@dataclass(frozen=True)
class LinearMap:
    """The linear map as `Evaluator` takes a baseline."""

    fitted: PatchMap

    def reconstruct(self, seen: Tensor) -> Tensor:
        return self.fitted.apply(seen)


@dataclass(frozen=True)
class Copy:
    """The input as it is, gray as equal channels and colour as its mean where the target has others."""

    channels: int

    def reconstruct(self, seen: Tensor) -> Tensor:
        return with_channels(seen, self.channels).clamp(0, 1)


def _batches(pairs: ImageSet) -> Iterator[tuple[Tensor, Tensor]]:
    height, width = largest_size(pairs)
    for batch in iter_batches(pairs, batch=max(1, 2**16 // (height * width))):
        cut = pairs.input_channels
        yield batch.images[:, :cut], batch.images[:, cut:]
