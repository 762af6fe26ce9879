"""Convolutional encoder and decoder: a space-to-depth stem, stages of residual blocks, halvings between them.

The stem folds `stem × stem` pixels into channels, because a first convolution on one to three channels is the
slowest layer on a CPU. A vector code is a linear layer on the last grid. A grid code is a 1×1 convolution,
with a straight linear path from pixels to code, and back, beside the stages. Where the decoder `refines`, its
last stage also reads the output of the straight path, and all stages work in units of the small corrections
they make. In units of the whole image, the first steps of the optimiser would exceed any useful correction,
and the stages would learn to output nothing.

With `skips` every stage of the encoder is added to the decoder's stage of the same size (Ronneberger et al.
2015, by addition as Zhang et al. 2021, "Plug-and-play image restoration", do). A network that then `predicts`
the difference from its input (Zhang et al. 2017, residual learning) begins as the identity: its last layer
starts at zero. It has no positions but the borders, so it works at any size and in tiles. Where it learns
from pairs, the difference is that from a linear map of patches, which starts as the best one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.blocks import build_stage, conv3, in_full
from isthmus.model.backbones.convolutions import TransposedConv
from isthmus.model.backbones.interface import (
    Decoder,
    Encoder,
    Entry,
    Features,
    PatchLayer,
    Plan,
    activation,
)
from isthmus.model.backbones.linear_path import (
    PIXEL_UNIT,
    BlockTransform,
    BorderFilter,
    centre,
    cosine_basis,
    fill_spread,
    fold,
    folds_pixels,
    keep_size,
    order_as_folded,
    silence,
    soften,
    start_as,
)
from isthmus.model.backbones.shallow import ShallowDecoder
from isthmus.model.positions import position_map
from isthmus.model.recipe import Recipe

DIRECT_SIDE_PX = 9
CLEAN_CONDITION = 3 / 255  # the condition of an image with little noise and no hole
CODE_UNIT = 0.3  # of what the encoder's stages add, where they refine: a share of each code channel's spread


def stage_widths(backbone: axes.Conv, stages: int) -> list[int]:
    """Channels of each stage: as listed, or the first doubled up to ×4; a short list repeats its last."""
    if len(backbone.width) == 1:
        return [backbone.width[0] * min(2**i, 4) for i in range(stages)]
    return [backbone.width[min(i, len(backbone.width) - 1)] for i in range(stages)]


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    backbone = _conv(recipe)
    linear = backbone.encoder == "linear"
    encoder = BlockTransform(backbone, plan) if linear else ConvEncoder(recipe, plan)
    if backbone.decoder == "shallow":
        halvings = backbone.depths(plan.geometry, plan.size)[1]
        return encoder, ShallowDecoder(backbone, plan, stage_widths(backbone, halvings + 1)[-1])
    return encoder, ConvDecoder(recipe, plan)


class ConvEncoder(Encoder):
    spread: Tensor

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _conv(recipe)
        self.stem, halvings = backbone.depths(plan.geometry, plan.size)
        self.multiple = self.stem * 2**halvings
        widths = stage_widths(backbone, halvings + 1)
        height, width = plan.size[0] // self.stem, plan.size[1] // self.stem
        self.positions = position_map(recipe.positions, (height, width))
        self.seen, self.refines = plan.seen, backbone.refines
        self.hands_input_on = backbone.predicts == "difference"
        self.patches = None
        if self.hands_input_on and (plan.transforms or plan.marks):
            self.patches = PatchLayer(plan.seen, plan.channels, DIRECT_SIDE_PX)
        # The stages refine what the linear map has made visible, such as details of a blurred image.
        self.sees_mapped = self.patches is not None and plan.transforms
        inputs = plan.inputs + plan.channels * self.sees_mapped
        inputs = inputs * self.stem**2 + self.positions.channels
        self.first = conv3(inputs, widths[0], backbone)
        self.stages = nn.ModuleList(build_stage(w, backbone, backbone.blocks) for w in widths)
        self.downs = nn.ModuleList(_down(a, b, backbone) for a, b in pairwise(widths))
        self.skips = backbone.skips
        self.end = activation(backbone.activation)
        self.is_grid, self.is_cosine = plan.geometry.is_grid, backbone.start == "cosine"
        self.borders = BorderFilter(self.multiple) if backbone.overlap else None
        self.folds = folds_pixels(backbone, plan)
        if self.is_grid:
            self.last: nn.Module = nn.Conv2d(widths[-1], plan.features, 1)
            # The linear code of each piece works from the start; the stages add to it.
            self.straight = None
            if not self.hands_input_on:
                self.straight = nn.Conv2d(plan.inputs * self.multiple**2, plan.features, 1)
                if self.is_cosine:
                    basis, spread = cosine_basis(plan.channels, self.multiple, plan.geometry.channels)
                    if self.folds:
                        basis = order_as_folded(basis, plan.channels, self.multiple)
                    start_as(self.straight, basis)
                    if self.refines:
                        keep_size(self.first, self.stages, self.downs)
                        silence(self.last)
                        self.register_buffer("spread", fill_spread(spread, plan.features))
                    else:
                        soften(self.last)
        else:
            bottom = plan.size[0] // self.multiple * (plan.size[1] // self.multiple)
            self.last = nn.Linear(widths[-1] * bottom, plan.features)

    @torch.no_grad()
    def centre_at(self, mean: Tensor) -> None:
        if self.is_cosine:
            assert self.straight is not None
            centre(self.straight, mean, self.multiple, self.folds)

    @property
    def direct(self) -> nn.Conv2d | None:
        return self.patches

    @property
    def projection(self) -> nn.Linear | None:
        return self.last if isinstance(self.last, nn.Linear) else None

    def weights_for_pairs(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        kernel, own = weights.get("first.weight"), self.state_dict()
        if self.patches is None or kernel is None or kernel.shape[2:] != self.first.weight.shape[2:]:
            return dict(weights)
        image, mapped = self.seen * self.stem**2, self.patches.out_channels * self.stem**2
        positions = kernel.shape[1] - self.positions.channels
        first = torch.zeros_like(own["first.weight"])
        if kernel.shape[0] != first.shape[0] or positions < mapped:
            return dict(weights)  # of another architecture
        first[:, image : image + mapped] = kernel[:, :mapped]
        first[:, image + mapped :] = kernel[:, positions:]
        bias = weights["first.bias"] + CLEAN_CONDITION * kernel[:, mapped:positions].sum((1, 2, 3))
        return {**own, **weights, "first.weight": first, "first.bias": bias}

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        given = x
        image = x[:, : self.seen]  # without the condition
        if self.patches is not None:
            image = self.patches(image)
        if self.sees_mapped:
            x = torch.cat([x, image], 1)
        unshuffle = fold if self.folds else F.pixel_unshuffle
        x = self.positions.beside(unshuffle(x, self.stem))
        x = x.contiguous(memory_format=torch.channels_last)
        # Bfloat16 cannot distinguish white from the level below it, which matters for small differences.
        x = in_full(self.first, x) if self.hands_input_on else self.first(x)
        stage_outputs: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if i:
                x = self.downs[i - 1](x)
            x = stage(x)
            stage_outputs.append(x)
        x = self.end(x)
        # Flattened in memory order (channels last), which saves a transposition of the largest tensor.
        h = self.last(x) if self.is_grid else self.last(x.permute(0, 2, 3, 1).flatten(1))
        if self.is_grid and self.straight is not None:
            if self.refines:
                h = h * (self.spread * CODE_UNIT)
            pieces = given if self.borders is None else self.borders(given)
            h = h + in_full(self.straight, unshuffle(pieces, self.multiple))
        if self.hands_input_on:
            stage_outputs.insert(0, image)
        return Features(h, stage_outputs if self.skips else [])


class ConvDecoder(Decoder):
    spread: Tensor

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _conv(recipe)
        self.stem, halvings = backbone.depths(plan.geometry, plan.size)
        self.multiple = self.stem * 2**halvings
        widths = stage_widths(backbone, halvings + 1)[::-1]
        bottom = (plan.size[0] // self.multiple, plan.size[1] // self.multiple)
        self.bottom, self.width, self.is_grid = bottom, widths[0], plan.geometry.is_grid
        outputs = widths[0] if self.is_grid else widths[0] * bottom[0] * bottom[1]
        self.entry = Entry(plan.geometry.channels, outputs, grid=self.is_grid, unit=plan.unit_columns)
        self.positions = position_map(recipe.positions, bottom)
        self.first = conv3(widths[0] + self.positions.channels, widths[0], backbone)
        counts = [backbone.blocks] * len(widths)
        counts[-1] = backbone.finest_blocks
        self.stages = nn.ModuleList(build_stage(w, backbone, n) for w, n in zip(widths, counts, strict=True))
        self.ups = nn.ModuleList(_up(a, b, backbone) for a, b in pairwise(widths))
        self.end = activation(backbone.activation)
        self.last = conv3(widths[-1], plan.channels * self.stem**2, backbone)
        self.adds_to_input = backbone.predicts == "difference"
        self.straight = self.refine = None
        # Stages narrower than the code see a mixture of it; the straight path then begins at the code itself.
        self.begins_at_code = backbone.start == "cosine" and plan.geometry.channels > widths[0]
        if self.adds_to_input:
            silence(self.last)
        elif self.is_grid:
            inputs = plan.geometry.channels if self.begins_at_code else widths[0]
            self.straight = nn.Conv2d(inputs, plan.channels * self.multiple**2, 1)
            if backbone.start == "cosine":
                basis, spread = cosine_basis(plan.channels, self.multiple, plan.geometry.channels)
                if not self.begins_at_code:
                    start_as(self.entry, torch.eye(len(basis)))
                start_as(self.straight, basis.t())
                if backbone.refines:
                    self.refine = conv3(plan.channels * self.stem**2, widths[-1], backbone)
                    keep_size(self.first, self.stages, self.ups, self.refine)
                    with torch.no_grad():
                        self.refine.weight.mul_(3)  # pixels spread by a third
                    silence(self.last)
                    self.register_buffer("spread", fill_spread(spread, inputs))
                else:
                    soften(self.last)

    def forward(self, z: Tensor, size: tuple[int, int] | None = None, skips: Sequence[Tensor] = ()) -> Tensor:
        height, width = size or self.image_size(z)
        x: Tensor = self.entry(z / self.spread if self.begins_at_code and self.refine is not None else z)
        if not self.is_grid:
            x = x.view(-1, *self.bottom, self.width).permute(0, 3, 1, 2)
        straight = None  # (N, channels, H, W), linear in the code
        if self.straight is not None:
            straight = F.pixel_shuffle(in_full(self.straight, z if self.begins_at_code else x), self.multiple)
        if self.refine is not None and not self.begins_at_code:
            x = x / self.spread
        assert tuple(x.shape[-2:]) == (height // self.multiple, width // self.multiple)
        x = self.first(self.positions.beside(x).contiguous(memory_format=torch.channels_last))
        for i, stage in enumerate(self.stages):
            if i:
                x = self.ups[i - 1](x)
            if skips:
                x = x + skips[-1 - i]
            if self.refine is not None and straight is not None and i == len(self.stages) - 1:
                x = x + self.refine(F.pixel_unshuffle(straight, self.stem))
            x = stage(x)
        painted = F.pixel_shuffle(self.last(self.end(x)), self.stem)
        if straight is not None:
            painted = (painted * PIXEL_UNIT if self.refine is not None else painted) + straight
        return painted.float() + skips[0] if self.adds_to_input else painted

    def linear_energy(self) -> Tensor | None:
        if self.straight is None:
            return None
        painted = self.straight.weight[:, :, 0, 0]
        if not self.begins_at_code:
            painted = painted @ self.entry.weight[:, :, 0, 0]
        return painted.square().sum(0)


def _conv(recipe: Recipe) -> axes.Conv:
    assert isinstance(recipe.backbone, axes.Conv)
    return recipe.backbone


def _down(inputs: int, outputs: int, backbone: axes.Conv) -> nn.Module:
    act = activation(backbone.activation)
    if backbone.down == "pool":
        return nn.Sequential(act, nn.MaxPool2d(2), conv3(inputs, outputs, backbone))
    return nn.Sequential(act, nn.Conv2d(inputs, outputs, 2, 2))


def _up(inputs: int, outputs: int, backbone: axes.Conv) -> nn.Module:
    act = activation(backbone.activation)
    match backbone.up:
        case "transposed":
            return nn.Sequential(act, TransposedConv(inputs, outputs, 2, 2))
        case "nearest":
            return nn.Sequential(
                act, nn.Upsample(scale_factor=2, mode="nearest"), conv3(inputs, outputs, backbone)
            )
        case _:
            return nn.Sequential(act, nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2))
