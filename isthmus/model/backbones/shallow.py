"""A fast decoder of grid codes: a linear transform and a light correction of its output.

Most of the time of a decoder goes into convolutions on fine grids. Here a 1×1 convolution computes each piece
of the image from its numbers, as in JPEG; with `overlap` a filter across the borders of pieces makes their
basis functions overlap. A few layers at 1/stem of the size then correct the pixels. They also see features of
the code, which are computed on its own grid, where layers cost next to nothing (after Yang and Mandt 2023,
"Computationally-efficient neural image compression with shallow decoders").

Both parts begin as in `conv`: the transform as a cosine transform, the correction at zero and in units of the
small corrections that it makes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.blocks import build_stage, conv3, in_full
from isthmus.model.backbones.interface import Decoder, Plan, activation
from isthmus.model.backbones.linear_path import (
    PIXEL_UNIT,
    BorderFilter,
    cosine_basis,
    fill_spread,
    fold,
    keep_size,
    order_as_folded,
    silence,
    start_as,
    unfold,
)


class ShallowDecoder(Decoder):
    spread: Tensor

    def __init__(self, backbone: axes.Conv, plan: Plan, hidden: int) -> None:
        """`hidden`: channels of the features on the code's grid."""
        super().__init__()
        self.stem, halvings = backbone.depths(plan.geometry, plan.size)
        self.multiple = self.stem * 2**halvings
        numbers, width = plan.geometry.channels, backbone.correction
        self.straight = nn.Conv2d(numbers, plan.channels * self.multiple**2, 1)
        basis, spread = cosine_basis(plan.channels, self.multiple, numbers)
        start_as(self.straight, order_as_folded(basis, plan.channels, self.multiple).t())
        self.register_buffer("spread", fill_spread(spread, numbers))
        self.borders = BorderFilter(self.multiple, inverse=True) if backbone.overlap else None
        self.entry = conv3(numbers, hidden, backbone)
        self.features = build_stage(hidden, backbone, backbone.blocks)
        self.widen = nn.Conv2d(hidden, width * 4**halvings, 1)
        self.refine = conv3(plan.channels * self.stem**2, width, backbone)
        self.stage = build_stage(width, backbone, backbone.finest_blocks)
        self.act = activation(backbone.activation)
        self.last = conv3(width, plan.channels * self.stem**2, backbone)
        keep_size(self.entry, self.features, self.widen, self.refine, self.stage)
        with torch.no_grad():
            self.refine.weight.mul_(3)  # pixels spread by a third
        silence(self.last)

    def forward(self, z: Tensor, size: tuple[int, int] | None = None, skips: Sequence[Tensor] = ()) -> Tensor:  # noqa: ARG002
        z = z.contiguous(memory_format=torch.channels_last)
        painted = unfold(in_full(self.straight, z), self.multiple)
        if self.borders is not None:
            painted = self.borders(painted)
        hidden = self.widen(self.act(self.features(self.entry(z / self.spread))))
        x = self.refine(fold(painted, self.stem)) + unfold(hidden, self.multiple // self.stem)
        x = self.last(self.act(self.stage(x)))
        return torch.add(painted, unfold(x.float(), self.stem), alpha=PIXEL_UNIT)

    def linear_energy(self) -> Tensor:
        weight = self.straight.weight[:, :, 0, 0].t()
        pieces = weight.reshape(len(weight), self.multiple, self.multiple, -1)
        return pieces.square().sum((1, 2, 3)) if self.borders is None else self.borders.energy(pieces)
