"""What every backbone agrees on: the sizes it is built for, what an encoder hands on, shared small layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.geometry import Geometry


@dataclass(frozen=True)
class Plan:
    """Sizes a backbone is built for.

    Attributes:
        channels: of the images.
        inputs: of the encoder's input: `channels`, and one more when a condition map is given.
        size: `(H, W)` of the training images, padded to a multiple of `multiple`.
        geometry: shape of the code.
        features: channels the bottleneck asks the encoder for (twice the code's for a Gaussian).
        unit_columns: the decoder's first layer has columns of unit norm, so that a sparsity penalty cannot be
            dodged by small codes and large weights.
    """

    channels: int
    inputs: int
    size: tuple[int, int]
    geometry: Geometry
    features: int
    unit_columns: bool


@dataclass
class Features:
    """An encoder's output: `h (N, F)` or `(N, F, h, w)`, and stages for a decoder with skips."""

    h: Tensor
    skips: list[Tensor] = field(default_factory=list)


class Encoder(nn.Module):
    """`forward(x (N, inputs, H, W), visible (N, 1, H, W) | None = None) -> Features`.

    Attributes:
        multiple: the sides of `x` are multiples of it.
    """

    multiple: int = 1

    @property
    def projection(self) -> nn.Linear | None:
        """The linear layer that makes the features of a vector code; None where no single one does."""
        return None

    def centre_at(self, mean: Tensor) -> None:
        """Begin with a code near zero for an image of the brightness `mean (C,)`, where that can be."""


class Decoder(nn.Module):
    """`forward(z, (H, W) | None = None, skips=()) -> (N, channels, H, W)`, before the range is applied.

    Without a size, a vector code gives an image of the training images' padded size, a grid code one of its
    own size times the stride.

    Attributes:
        built_size: `(H, W)` of the training images, padded; `built_stride`: of a grid code.
    """

    built_size: tuple[int, int] = (0, 0)
    built_stride: int | None = None

    def image_size(self, z: Tensor) -> tuple[int, int]:
        """`(H, W)` of the image that a code decodes to where no size is given."""
        if self.built_stride is None:
            return self.built_size
        return z.shape[-2] * self.built_stride, z.shape[-1] * self.built_stride


_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation(name: str) -> nn.Module:
    return _ACTIVATIONS[name]()


class Entry(nn.Module):
    """The decoder's first, linear layer: a matrix for vectors, a 1×1 convolution for grids.

    With `unit` each column (what one code unit paints) is scaled to norm 1 in every pass.
    """

    def __init__(self, inputs: int, outputs: int, *, grid: bool, unit: bool) -> None:
        super().__init__()
        shape = (outputs, inputs, 1, 1) if grid else (outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.unit = unit
        nn.init.normal_(self.weight, std=1 / math.sqrt(inputs))

    def forward(self, z: Tensor) -> Tensor:
        weight = F.normalize(self.weight, dim=0) if self.unit else self.weight
        return F.conv2d(z, weight, self.bias) if weight.ndim == 4 else F.linear(z, weight, self.bias)


def conv_depth(backbone: axes.Conv, geometry: Geometry, size: tuple[int, int]) -> tuple[int, int]:
    """`(stem, halvings)` of a conv backbone; vectors stop near an 8×8 grid, grids at their stride."""
    if geometry.stride is not None:
        stem = min(backbone.stem, geometry.stride)
        return stem, int(math.log2(geometry.stride // stem))
    if backbone.depth is not None:
        return backbone.stem, backbone.depth
    side = max(size) / backbone.stem
    return backbone.stem, max(1, math.ceil(math.log2(side / 8))) if side > 1 else 0


def stacked_widths(backbone: axes.Stacked, geometry: Geometry) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels of the convolutions of a stacked backbone, without the code's own and the image's.

    In a vector code each of the encoder's convolutions halves, and the decoder's first width is that of the
    grid at the bottom. In a grid code the one that makes the code halves too; of `width` as many are taken as
    its stride needs, the last repeated.
    """
    if geometry.stride is None:
        encoder = backbone.width
        return encoder, encoder[::-1] if backbone.decoder is None else backbone.decoder
    hidden = max(0, int(math.log2(geometry.stride)) - 1)
    width = backbone.width or (geometry.channels,)
    encoder = tuple(width[min(i, len(width) - 1)] for i in range(hidden))
    return encoder, encoder[::-1] if backbone.decoder is None else backbone.decoder


def stacked_halvings(backbone: axes.Stacked, geometry: Geometry) -> int:
    """How often a stacked encoder halves, and its decoder doubles."""
    return len(backbone.width) if geometry.stride is None else int(math.log2(geometry.stride))


def patch_side(backbone: axes.Attention, geometry: Geometry, size: tuple[int, int]) -> int:
    """Side of an attention patch: the code's stride, what was asked for, or 7 to 8 on the longer side."""
    if geometry.stride is not None:
        return geometry.stride
    return backbone.patch or max(1, math.ceil(max(size) / 8))
