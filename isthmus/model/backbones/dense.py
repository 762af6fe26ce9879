"""Fully connected encoder and decoder on the flattened image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import Decoder, Encoder, Entry, Features, Plan, activation
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    assert isinstance(recipe.backbone, axes.Dense)
    return DenseEncoder(recipe.backbone, plan), DenseDecoder(recipe.backbone, plan)


class DenseEncoder(Encoder):
    """`inputs·H·W → width… → features`."""

    def __init__(self, backbone: axes.Dense, plan: Plan) -> None:
        super().__init__()
        pixels = plan.inputs * plan.size[0] * plan.size[1]
        self.hidden = _stack((pixels, *backbone.width), backbone)
        self.last = nn.Linear(backbone.width[-1] if backbone.width else pixels, plan.features)

    @property
    def projection(self) -> nn.Linear | None:
        # Components of the pixels themselves are a slow start: random directions are faster.
        return self.last if len(self.hidden) and isinstance(self.last, nn.Linear) else None

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        return Features(self.last(self.hidden(x.flatten(1))))


class DenseDecoder(Decoder):
    """`code → decoder…, or width reversed… → channels·H·W`."""

    def __init__(self, backbone: axes.Dense, plan: Plan) -> None:
        super().__init__()
        self.shape = (plan.channels, *plan.size)
        pixels = plan.channels * plan.size[0] * plan.size[1]
        widths = backbone.width[::-1] if backbone.decoder is None else backbone.decoder
        self.entry = Entry(plan.geometry.channels, (*widths, pixels)[0], grid=False, unit=plan.unit_columns)
        layers: list[nn.Module] = []
        if widths:
            if backbone.norm == "batch":
                layers.append(nn.BatchNorm1d(widths[0]))
            layers += [
                activation(backbone.activation),
                _stack(widths, backbone),
                nn.Linear(widths[-1], pixels),
            ]
        self.rest = nn.Sequential(*layers)

    def forward(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,  # noqa: ARG002
        skips: Sequence[Tensor] = (),  # noqa: ARG002
    ) -> Tensor:
        out: Tensor = self.rest(self.entry(z))
        return out.view(-1, *self.shape)


def _stack(widths: tuple[int, ...], backbone: axes.Dense) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers.append(nn.Linear(inputs, outputs))
        if backbone.norm == "batch":
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(activation(backbone.activation))
    return nn.Sequential(*layers)
