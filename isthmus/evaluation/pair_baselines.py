"""Baselines of a model of pairs: a copy of the input, and a linear map of patches.

The linear map is fitted to the training pairs when the training ends, and travels in the model's file as the
attachment `linear-map`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from isthmus.errors import ModelFileError
from isthmus.evaluation.passes import Reconstructor
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import PatchMap
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors, whole_number
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.backbones.interface import with_channels
from isthmus.model.initialisation import pair_batches

ATTACHMENT = "linear-map"
MAX_SIDE_PX = 63


def store_linear_map(model: Autoencoder, pairs: ImageSet) -> None:
    """Fit the linear map to `pairs` and keep it in the model."""
    cut = model.channels
    fitted = PatchMap().fit(
        (pairs_of_batch[:, :cut], pairs_of_batch[:, cut:]) for pairs_of_batch in pair_batches(pairs)
    )
    assert fitted.weight is not None and fitted.bias is not None
    tensors = {"weight": fitted.weight, "bias": fitted.bias}
    model.attachments[ATTACHMENT] = Attachment({"side": fitted.side}, tensors)


def load_linear_map(model: Autoencoder) -> PatchMap | None:
    """The linear map in a model, or None where there is none.

    Raises:
        ModelFileError: it is damaged.
    """
    attachment = model.attachments.get(ATTACHMENT)
    if attachment is None:
        return None
    try:
        side = whole_number(attachment.facts, "side", 1, MAX_SIDE_PX)
        rules = {
            "weight": Rule(model.output_channels, model.channels, side, side),
            "bias": Rule(model.output_channels),
        }
        check_tensors(attachment.tensors, rules)
    except DAMAGE as error:
        raise ModelFileError(
            "the model's attachment {attachment} is damaged: {reason}",
            id="model-file.attachment",
            attachment=ATTACHMENT,
            reason=error,
        ) from None
    patch_map = PatchMap(side)
    patch_map.weight, patch_map.bias = attachment.tensors["weight"], attachment.tensors["bias"]
    return patch_map


def pair_baselines_of(model: Autoencoder) -> dict[str, Reconstructor]:
    """`copy`, and `linear_map` where the model holds one.

    Raises:
        ModelFileError: its linear map is damaged.
    """
    baselines: dict[str, Reconstructor] = {"copy": Copy(model.output_channels)}
    fitted = load_linear_map(model)
    if fitted is not None:
        baselines["linear_map"] = LinearMap(fitted)
    return baselines


@dataclass(frozen=True)
class LinearMap:
    """The linear map as `Evaluator` takes a baseline."""

    fitted: PatchMap

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.fitted.apply(images)


@dataclass(frozen=True)
class Copy:
    """The input as it is, gray as equal channels and colour as its mean where the target has others."""

    channels: int

    def reconstruct(self, images: Tensor) -> Tensor:
        return with_channels(images, self.channels).clamp(0, 1)
