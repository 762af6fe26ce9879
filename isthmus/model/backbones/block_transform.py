"""An encoder that is one learned linear transform of each piece of the image, as JPEG's is a fixed one.

Nothing is faster (`backbone.encoder=linear`). In short trainings a codec does as well with it, for its
decoder, which sees what the pieces paint together, does the work; after long ones stages are worth half a
decibel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.cosine import cosine_basis
from isthmus.model.backbones.initial import start_as
from isthmus.model.backbones.interface import Encoder, Features, Plan, conv_depth


class BlockTransform(Encoder):
    """Pieces of `multiple × multiple` pixels to as many numbers each as the code has channels."""

    def __init__(self, backbone: axes.Conv, plan: Plan) -> None:
        super().__init__()
        stem, halvings = conv_depth(backbone, plan.geometry, plan.size)
        self.multiple = stem * 2**halvings
        self.is_cosine = backbone.start == "cosine"
        self.straight = nn.Conv2d(plan.inputs * self.multiple**2, plan.features, 1)
        if self.is_cosine:
            start_as(self.straight, cosine_basis(plan.channels, self.multiple, plan.geometry.channels)[0])

    @torch.no_grad()
    def centre_at(self, mean: Tensor) -> None:
        if self.is_cosine:
            centre(self.straight, mean, self.multiple)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        return Features(self.straight(F.pixel_unshuffle(x, self.multiple)))


@torch.no_grad()
def centre(straight: nn.Conv2d, mean: Tensor, multiple: int) -> None:
    """Let the transform of an even image of the brightness `mean (C,)` begin at zero."""
    assert straight.bias is not None
    weight = straight.weight[:, : len(mean) * multiple**2, 0, 0]
    straight.bias.copy_(-(weight @ mean.repeat_interleave(multiple**2)))
