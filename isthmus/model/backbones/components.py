"""Principal components as the code, and convolutions that sharpen the picture they paint.

The components are those of the training images, found once and never trained: of images that are laid out
alike they hold far more than a convolutional encoder learns in minutes. Codes are whitened: each number has
variance 1 over the training images. The decoder paints the linear picture and adds what a small U-shaped
network (Ronneberger et al. 2015) makes of it. Large images are reduced before, and their details added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.metrics.baselines import principal_subspace
from isthmus.model import axes
from isthmus.model.backbones.blocks import Block
from isthmus.model.backbones.interface import Decoder, Encoder, Features, Plan
from isthmus.model.backbones.linear_path import silence
from isthmus.model.recipe import Recipe

FIRST_LOG_VARIANCE = -4.0  # where the bottleneck takes one


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    backbone = recipe.backbone
    assert isinstance(backbone, axes.Components)
    return ComponentEncoder(backbone, plan), ComponentDecoder(backbone, plan)


class ComponentEncoder(Encoder):
    """`h = (x − mean) · directions`; what the bottleneck asks for beyond the code is a linear map of it."""

    mean: Tensor
    directions: Tensor

    def __init__(self, backbone: axes.Components, plan: Plan) -> None:
        super().__init__()
        self.multiple, self.reduction = backbone.stem * 2, backbone.reduction(plan.size)
        numbers, channels = _numbers(plan.inputs, plan.size, self.reduction), plan.geometry.channels
        self.register_buffer("mean", torch.full((numbers,), 0.5))
        self.register_buffer("directions", torch.randn(numbers, channels) / numbers**0.5)
        more = plan.features - channels
        self.rest = nn.Linear(channels, more) if more else None
        if self.rest is not None:
            nn.init.zeros_(self.rest.weight)
            nn.init.constant_(self.rest.bias, FIRST_LOG_VARIANCE)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        with torch.autocast(x.device.type, enabled=False):
            h = (reduce(x.float(), self.reduction).flatten(1) - self.mean) @ self.directions
            return Features(h if self.rest is None else torch.cat([h, self.rest(h)], 1))

    @torch.no_grad()
    def start_at_components(
        self, decoder: Decoder, batches: Callable[[], Iterable[Tensor]], seed: int
    ) -> None:
        """Numbers of the code beyond the components that the images have stay zero."""
        assert isinstance(decoder, ComponentDecoder)
        rows = [reduce(batch, self.reduction).flatten(1) for batch in batches()]
        images, numbers = sum(map(len, rows)), self.directions.shape[1]
        space = principal_subspace(rows, max(1, min(numbers, images - 1)), seed=seed)
        squares = torch.stack([space.encode(part).square().sum(0) for part in rows]).sum(0)
        deviations = (squares / images).sqrt().clamp_min(1e-6)
        self.mean.copy_(space.mean)
        self.directions.zero_()
        self.directions[:, : len(deviations)] = space.basis.T / deviations
        numbers_out = len(decoder.mean)  # without the channel of a condition
        decoder.mean.copy_(space.mean[:numbers_out])
        decoder.directions.zero_()
        decoder.directions[: len(deviations)] = (space.basis * deviations[:, None])[:, :numbers_out]


class ComponentDecoder(Decoder):
    mean: Tensor
    directions: Tensor

    def __init__(self, backbone: axes.Components, plan: Plan) -> None:
        super().__init__()
        self.stem, self.reduction = backbone.stem, backbone.reduction(plan.size)
        self.channels, size = plan.channels, plan.size
        self.coarse = (size[0] // self.reduction, size[1] // self.reduction)
        numbers = _numbers(plan.channels, size, self.reduction)
        self.register_buffer("mean", torch.full((numbers,), 0.5))
        self.register_buffer("directions", torch.randn(plan.geometry.channels, numbers) * 0.1)
        width, settings = backbone.width[0], axes.Conv()
        low = backbone.width[-1]
        blocks = range(backbone.blocks)
        self.first = nn.Conv2d(plan.channels * self.stem**2, width, 3, padding=1)
        self.before = nn.Sequential(*(Block(width, settings) for _ in blocks))
        self.down = nn.Conv2d(width, low, 2, 2)
        self.low = nn.Sequential(*(Block(low, settings) for _ in blocks))
        self.up = nn.Conv2d(low, 4 * width, 1)
        self.after = nn.Sequential(*(Block(width, settings) for _ in blocks))
        self.last = nn.Conv2d(width, plan.channels * self.stem**2, 3, padding=1)
        silence(self.last)

    def forward(self, z: Tensor, size: tuple[int, int] | None = None, skips: object = ()) -> Tensor:  # noqa: ARG002
        with torch.autocast(z.device.type, enabled=False):
            painted = (z.float() @ self.directions + self.mean).view(-1, self.channels, *self.coarse)
        if self.reduction > 1:
            painted = F.interpolate(painted, size or self.built_size, mode="bilinear")
        x = F.pixel_unshuffle(painted, self.stem).contiguous(memory_format=torch.channels_last)
        x = self.before(self.first(x))
        x = self.after(x + F.pixel_shuffle(self.up(self.low(self.down(x))), 2))
        return painted + F.pixel_shuffle(self.last(F.relu(x)), self.stem)


def reduce(images: Tensor, reduction: int) -> Tensor:
    """`(N, C, H, W)` with means of `reduction × reduction` pixels in place of these."""
    return F.avg_pool2d(images, reduction) if reduction > 1 else images


def _numbers(channels: int, size: tuple[int, int], reduction: int) -> int:
    return channels * (size[0] // reduction) * (size[1] // reduction)
