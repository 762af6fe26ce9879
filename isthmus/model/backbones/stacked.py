"""The textbook convolutional autoencoder: convolution, normalisation, activation, halving, again and again.

Masci et al. 2011, "Stacked convolutional auto-encoders". There is no folding, no skip and no extra
projection, so every layer has the shape in the description of such a network. A grid code is what the last
convolution gives; a vector code is a linear layer on the last grid, unfolded again by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.blocks import ReflectConv
from isthmus.model.backbones.convolutions import NarrowConv, TransposedConv
from isthmus.model.backbones.interface import Decoder, Encoder, Entry, Features, Plan, activation
from isthmus.model.positions import position_map
from isthmus.model.recipe import Recipe

MONOTONE = ("relu", "leaky", "tanh", "sigmoid")


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    return StackedEncoder(recipe, plan), StackedDecoder(recipe, plan)


class StackedEncoder(Encoder):
    """`(N, inputs, H, W)` → one halving per layer → the code's features."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _stacked(recipe)
        self.multiple = 2 ** backbone.halvings(plan.geometry)
        self.positions = position_map(recipe.positions, plan.size)
        widths, _ = backbone.widths(plan.geometry)
        widths = (plan.inputs + self.positions.channels, *widths)
        self.layers = nn.ModuleList(_halving(a, b, backbone, active=True) for a, b in pairwise(widths))
        self.is_grid = plan.geometry.is_grid
        if self.is_grid:
            # A code is no hidden layer: the bottleneck decides whether it is rectified.
            self.last: nn.Module = _halving(widths[-1], plan.features, backbone, active=False)
        else:
            bottom = plan.size[0] // self.multiple * (plan.size[1] // self.multiple)
            self.last = nn.Linear(widths[-1] * bottom, plan.features)

    @property
    def projection(self) -> nn.Linear | None:
        return self.last if isinstance(self.last, nn.Linear) else None

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        x = self.positions.beside(x).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = layer(x)
        # Flattened in memory order (channels last), which saves a transposition.
        return Features(self.last(x if self.is_grid else x.permute(0, 2, 3, 1).flatten(1)))


class StackedDecoder(Decoder):
    """The code, or the grid it is unfolded to → one doubling per layer → `(N, channels, H, W)`."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _stacked(recipe)
        halvings = backbone.halvings(plan.geometry)
        self.multiple = 2**halvings
        self.bottom = (plan.size[0] // self.multiple, plan.size[1] // self.multiple)
        _, widths = backbone.widths(plan.geometry)
        self.entry: nn.Module | None = None
        code = plan.geometry.channels
        if not plan.geometry.is_grid:
            bottom, *widths_after = widths
            area = self.bottom[0] * self.bottom[1]
            self.entry = Entry(code, bottom * area, grid=False, unit=plan.unit_columns)
            self.entered = _finish(bottom, backbone)
            code, widths = bottom, tuple(widths_after)
        self.unit_columns = plan.unit_columns and plan.geometry.is_grid
        self.positions = position_map(recipe.positions, self.bottom)
        channels = (code + self.positions.channels, *widths)
        self.layers = nn.ModuleList(_doubling(a, b, backbone) for a, b in pairwise(channels))
        if len(widths) == halvings:
            self.last: nn.Module = _last_conv3(channels[-1], plan.channels, backbone)
        elif backbone.up == "transposed":
            self.last = _transposed(channels[-1], plan.channels)
        else:
            self.last = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="nearest"),
                _last_conv3(channels[-1], plan.channels, backbone),
            )

    def forward(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,
        skips: Sequence[Tensor] = (),  # noqa: ARG002
    ) -> Tensor:
        height, width = size or self.image_size(z)
        if self.entry is not None:
            z = self.entered(self.entry(z).view(len(z), *self.bottom, -1).permute(0, 3, 1, 2))
        elif self.unit_columns:
            z = z / self._column_norms(z.shape[1])
        assert tuple(z.shape[-2:]) == (height // self.multiple, width // self.multiple)
        x = self.positions.beside(z).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.last(x)
        return out

    def _column_norms(self, units: int) -> Tensor:
        # To divide the code by the norm of what each unit paints is to give every column norm 1.
        first = next(m for m in self.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
        by_unit = first.weight if isinstance(first, nn.ConvTranspose2d) else first.weight.transpose(0, 1)
        norms: Tensor = torch.linalg.vector_norm(by_unit[:units].flatten(1), dim=1)
        return norms.clamp_min(1e-12).view(1, -1, 1, 1)


def _stacked(recipe: Recipe) -> axes.Stacked:
    assert isinstance(recipe.backbone, axes.Stacked)
    return recipe.backbone


def _halving(inputs: int, outputs: int, backbone: axes.Stacked, *, active: bool) -> nn.Sequential:
    pooled = backbone.down == "pool"
    layers: list[nn.Module] = [_conv3(inputs, outputs, backbone, stride=1 if pooled else 2)]
    if pooled and active and backbone.norm == "none" and backbone.activation in MONOTONE:
        # The largest of four stays the largest: the same numbers from a quarter of the work.
        return nn.Sequential(*layers, nn.MaxPool2d(2), activation(backbone.activation))
    layers.append(_finish(outputs, backbone) if active else _norm(outputs, backbone))
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pooled else nn.Sequential(*layers)


def _doubling(inputs: int, outputs: int, backbone: axes.Stacked) -> nn.Sequential:
    if backbone.up == "transposed":
        return nn.Sequential(_transposed(inputs, outputs), _finish(outputs, backbone))
    return nn.Sequential(
        _conv3(inputs, outputs, backbone),
        _finish(outputs, backbone),
        nn.Upsample(scale_factor=2, mode="nearest"),
    )


def _conv3(inputs: int, outputs: int, backbone: axes.Stacked, stride: int = 1) -> nn.Conv2d:
    if backbone.padding == "reflect":
        return ReflectConv(inputs, outputs, 3, stride)
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def _last_conv3(inputs: int, outputs: int, backbone: axes.Stacked) -> nn.Conv2d:
    if backbone.padding == "reflect":
        return _conv3(inputs, outputs, backbone)
    return NarrowConv(inputs, outputs)


def _transposed(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return TransposedConv(inputs, outputs, 3, 2, padding=1, output_padding=1)


def _norm(channels: int, backbone: axes.Stacked) -> nn.Module:
    return nn.BatchNorm2d(channels) if backbone.norm == "batch" else nn.Identity()


def _finish(channels: int, backbone: axes.Stacked) -> nn.Sequential:
    return nn.Sequential(_norm(channels, backbone), activation(backbone.activation))
