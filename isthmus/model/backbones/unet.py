"""A U-shaped network: levels of two convolutions with group normalisation, each handed to the decoder.

Ronneberger et al. 2015, "U-Net", with additions in place of concatenations, and Wu and He 2018, "Group
normalization": batches are small where crops are large. Squares of `scale × scale` pixels are folded into
channels first, because a defect is recognised by its surroundings, which take less time on a coarse grid; the
decoder's output is enlarged again, bilinearly. With `inputs="contrast"` the first level also reads the means
of these squares in two versions: global contrast (in standard deviations of the image) and local contrast (in
those of a square around each pixel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.convolutions import NarrowConv
from isthmus.model.backbones.interface import Decoder, Encoder, Entry, Features, PatchLayer, Plan
from isthmus.model.backbones.linear_path import silence
from isthmus.model.positions import position_map
from isthmus.model.recipe import Recipe

MAX_GROUPS = 8
LOCAL_SIDE_PX = 15  # of the square of local contrast, after averaging
LEAST_DEVIATION = 0.02  # in [0, 1]: below it, contrast is noise
GRAY_UNIT = 0.25  # deviation of a usual image, which the network's input is scaled by


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    return UnetEncoder(recipe, plan), UnetDecoder(recipe, plan)


class UnetEncoder(Encoder):
    """`(N, inputs, H, W)` → levels, finest first, and the code's features on the coarsest grid."""

    centre: Tensor

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _unet(recipe)
        self.scale, self.multiple, self.seen = backbone.scale, backbone.stride, plan.seen
        self.sees_contrast = backbone.inputs == "contrast"
        self.positions = position_map(recipe.positions, _divide(plan.size, self.scale))
        inputs = plan.seen * self.scale**2 + plan.inputs - plan.seen
        inputs += 2 * plan.seen * self.sees_contrast + self.positions.channels
        self.levels = nn.ModuleList(
            nn.Sequential(_convolution(a, b), _convolution(b, b))
            for a, b in pairwise((inputs, *backbone.width))
        )
        self.last = nn.Conv2d(backbone.width[-1], plan.features, 1)
        self.hands_input_on = backbone.predicts_residual
        self.patches = None
        if self.hands_input_on and plan.transforms:
            self.patches = PatchLayer(plan.seen, plan.channels - plan.marks, side=1)
        self.register_buffer("centre", torch.full((plan.seen, 1, 1), 0.5))

    @torch.no_grad()
    def centre_at(self, mean: Tensor) -> None:
        self.centre.copy_(mean.view(-1, 1, 1))

    @property
    def direct(self) -> nn.Conv2d | None:
        return self.patches

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        image = x[:, : self.seen]  # without the condition
        y = self._prepare(x)
        skips: list[Tensor] = []
        for number, level in enumerate(self.levels):
            if number:
                y = F.max_pool2d(y, 2)
            y = level(y)
            skips.append(y)
        if self.hands_input_on:
            skips.insert(0, image if self.patches is None else self.patches(image))
        return Features(self.last(y), skips)

    def _prepare(self, x: Tensor) -> Tensor:
        centred = (x[:, : self.seen].float() - self.centre) / GRAY_UNIT
        x = F.avg_pool2d(x.float(), self.scale) if self.scale > 1 else x.float()
        image, condition = x[:, : self.seen], x[:, self.seen :]
        parts = [F.pixel_unshuffle(centred, self.scale), condition]
        if self.sees_contrast:
            mean = image.mean((2, 3), keepdim=True)
            deviation = (image - mean).square().mean((2, 3), keepdim=True).sqrt()
            parts.append((image - mean) / (deviation + LEAST_DEVIATION))
            parts.append(_local_contrast(image))
        joined = self.positions.beside(torch.cat(parts, 1))
        return joined.contiguous(memory_format=torch.channels_last)


class UnetDecoder(Decoder):
    """Code and levels → `(N, channels, H, W)`: the image's channels, then those that mark."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _unet(recipe)
        self.scale, self.marks = backbone.scale, plan.marks
        widths = backbone.width[::-1]
        self.entry = Entry(plan.geometry.channels, widths[0], grid=True, unit=plan.unit_columns)
        self.ups = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.levels = nn.ModuleList(_convolution(width, width) for width in widths)
        self.last = NarrowConv(widths[-1], plan.channels)
        self.adds_to_input = backbone.predicts_residual
        if self.adds_to_input:
            silence(self.last)

    def forward(self, z: Tensor, size: tuple[int, int] | None = None, skips: Sequence[Tensor] = ()) -> Tensor:
        height, width = size or self.image_size(z)
        x = self.entry(z)
        for number, level in enumerate(self.levels):
            if number:
                x = F.interpolate(self.ups[number - 1](x), scale_factor=2.0, mode="bilinear")
            x = level(x + skips[-1 - number])
        painted: Tensor = self.last(x).float()
        if self.scale > 1:
            painted = F.interpolate(painted, (height, width), mode="bilinear")
        if not self.adds_to_input:
            return painted
        if not self.marks:
            return painted + skips[0]
        return torch.cat([painted[:, : -self.marks] + skips[0], painted[:, -self.marks :]], 1)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    # A group has at least two channels: on a grid of one position one alone would have no deviation.
    groups = math.gcd(outputs, MAX_GROUPS)
    while outputs // groups < 2:
        groups //= 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.GroupNorm(groups, outputs),
        nn.ReLU(inplace=True),
    )


def _local_contrast(image: Tensor) -> Tensor:
    """Each pixel's difference from its surroundings, in their standard deviations."""
    edge = LOCAL_SIDE_PX // 2

    def surroundings(x: Tensor) -> Tensor:
        # Of rows, then of columns: a square at once takes seven times as long.
        rows = F.avg_pool2d(x, (LOCAL_SIDE_PX, 1), stride=1, padding=(edge, 0), count_include_pad=False)
        return F.avg_pool2d(rows, (1, LOCAL_SIDE_PX), stride=1, padding=(0, edge), count_include_pad=False)

    mean = surroundings(image)
    # Of differences from the image's mean: of large numbers the two terms would cancel.
    centred = image - image.mean((2, 3), keepdim=True)
    local = surroundings(centred)
    deviation = (surroundings(centred.square()) - local.square()).clamp_min(0).sqrt()
    return (image - mean) / (deviation + LEAST_DEVIATION)


def _divide(size: tuple[int, int], by: int) -> tuple[int, int]:
    return size[0] // by, size[1] // by


def _unet(recipe: Recipe) -> axes.Unet:
    assert isinstance(recipe.backbone, axes.Unet)
    return recipe.backbone
