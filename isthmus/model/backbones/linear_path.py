"""The linear path for grid codes, its first weights, and the encoder that is one linear transform.

`backbone.encoder=linear` transforms each block of the image linearly, as JPEG does with a fixed transform. It
is the fastest encoder. After short trainings a codec does as well with it, because the decoder sees
overlapping blocks; after long ones further stages are worth half a decibel.

First weights of the path are the lowest frequencies of a cosine transform, as in JPEG.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import Encoder, Entry, Features, Plan

BLOCK_SHARE = 0.2  # of its input's size that a residual block adds at first
PIXEL_UNIT = 0.05  # of what a decoder's stages add, where they refine: a share of white


@torch.no_grad()
def start_as(layer: nn.Conv2d | Entry, matrix: Tensor) -> None:
    """Let a 1×1 convolution begin as `matrix (outputs, inputs)`; outputs beyond it stay random."""
    outputs, inputs = matrix.shape
    layer.weight[:outputs] = 0
    layer.weight[:outputs, :inputs, 0, 0] = matrix
    assert layer.bias is not None
    layer.bias.zero_()


@torch.no_grad()
def soften(layer: nn.Module) -> None:
    """Scale the output of a stage to a hundredth at first, or its noise would drown that of the straight
    path.
    """
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    layer.weight.mul_(0.01)
    layer.bias.zero_()


@torch.no_grad()
def silence(layer: nn.Module) -> None:
    """Let a stage add nothing at first."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    layer.weight.zero_()
    layer.bias.zero_()


@torch.no_grad()
def keep_size(*modules: nn.Module) -> None:
    """Weights that preserve the size through a rectifier (He et al. 2015); PyTorch's default halves it."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                layer.bias.zero_()
        for layer in module.modules():
            last = getattr(layer, "last_convolution", None)
            if last is not None:
                last().weight.mul_(BLOCK_SHARE)


# One brightness and two colour differences, orthogonal. The ratios of their variances in photographs are
# rough guesses, which only decide the order of the waves.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
_ENERGIES = (1.0, 0.12, 0.04)


def cosine_basis(channels: int, side: int, count: int) -> tuple[Tensor, Tensor]:
    """Orthonormal rows that paint pieces of `side × side` pixels, and how far their numbers spread.

    Returns:
        `(min(count, all), all = channels·side²)` and, to within a factor of two or three, the standard
        deviation of each row's number in photographs in [0, 1], `(min(count, all),)`.

    Rows are products of a colour and of two waves of the DCT-II (Ahmed, Natarajan and Rao 1974), coarse ones
    first; columns are in the order of `pixel_unshuffle`.
    """
    place = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(math.pi / side * (place[None] + 0.5) * place[:, None]) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    colours = torch.eye(channels, dtype=torch.float64)
    energies = torch.ones(channels, dtype=torch.float64)
    if channels == 3:
        colours = torch.nn.functional.normalize(torch.tensor(_COLOURS, dtype=torch.float64), dim=1)
        energies = torch.tensor(_ENERGIES, dtype=torch.float64)
    rows = torch.einsum("kc,ai,bj->kabcij", colours, waves, waves).reshape(-1, channels * side**2)
    # Spectra of photographs fall with the square of the frequency (Field 1987).
    frequency = place[:, None].square() + place.square()
    energy = energies[:, None, None] / (1 + frequency)
    order = energy.flatten().argsort(descending=True, stable=True)
    # Fitted to photographs in pieces of side 16: 6.0 for the brightness, .07 at the tenth frequency.
    spread = 6 * energies.sqrt()[:, None, None] / (1 + frequency)
    chosen = order[:count]
    return rows[chosen].float(), spread.flatten()[chosen].float()


def folds_pixels(backbone: axes.Conv, plan: Plan) -> bool:
    """Whether the encoder takes pixels in the order of `fold`: beside a shallow decoder, to be fast."""
    return backbone.decoder == "shallow" and plan.inputs == plan.channels


def fold(x: Tensor, side: int) -> Tensor:
    """`(N, C, H, W)` → `(N, side²·C, H/side, W/side)`: `pixel_unshuffle` with another order of the
    channels, in a tenth of its time where `x` is channels-last.
    """
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height // side, side, width // side, side * channels)
    return rows.transpose(2, 3).reshape(n, height // side, width // side, -1).permute(0, 3, 1, 2)


def unfold(x: Tensor, side: int) -> Tensor:
    """The inverse of `fold`."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height, width, side, channels // side)
    return rows.transpose(2, 3).reshape(n, height * side, width * side, -1).permute(0, 3, 1, 2)


def order_as_folded(basis: Tensor, channels: int, side: int) -> Tensor:
    """Rows of `cosine_basis` with their columns in the order of `fold`."""
    return basis.reshape(-1, channels, side, side).permute(0, 2, 3, 1).flatten(1)


def fill_spread(spread: Tensor, channels: int) -> Tensor:
    """`(channels, 1, 1)`: the spread of each channel, and 1 for those without a wave."""
    return F.pad(spread, (0, channels - len(spread)), value=1.0).view(-1, 1, 1)


def lapped_filter(side: int) -> Tensor:
    """`(side, side)`: the orthonormal filter across a border that makes cosine transforms overlap.

    Applied to `side` samples around each border before the transform of pieces, and transposed after its
    inverse (Tran, Liang and Tu 2003, "Lapped transform via time-domain pre- and post-filtering", eq. 17).
    """
    half = side // 2
    eye = torch.eye(half, dtype=torch.float64)
    butterfly = torch.cat([torch.cat([eye, eye.flip(0)], 1), torch.cat([eye.flip(0), -eye], 1)])
    place = torch.arange(half, dtype=torch.float64) + 0.5
    waves = [
        torch.cos(math.pi / half * place[None] * frequency[:, None]) * math.sqrt(2 / half)
        for frequency in (place - 0.5, place)
    ]
    waves[0][0] /= math.sqrt(2)
    turn = (waves[0].t() @ waves[1]).flip(0, 1)
    block: Tensor = torch.block_diag(eye, turn)
    return (0.5 * butterfly @ block @ butterfly).float()


class BorderFilter(nn.Module):
    """Mixes the pixels on both sides of each border between pieces of `side × side`: `(N, C, H, W)`, H and W
    multiples of `side`, to the same. The outer borders of the image stay as they are.
    """

    def __init__(self, side: int, *, inverse: bool = False) -> None:
        super().__init__()
        first = lapped_filter(side)
        first = first.t().contiguous() if inverse else first
        self.down, self.along = nn.Parameter(first), nn.Parameter(first.clone())

    def forward(self, x: Tensor) -> Tensor:
        side, half = len(self.down), len(self.down) // 2
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().permute(0, 2, 3, 1)
            n, height, width, channels = x.shape
            if height > side:
                inner = x[:, half:-half].reshape(n, -1, side, width * channels)
                mixed = (self.down @ inner).view(n, height - side, width, channels)
                x = torch.cat([x[:, :half], mixed, x[:, -half:]], 1)
            if width > side:
                inner = x[:, :, half:-half].reshape(n, height, -1, side * channels)
                # All channels in one product take more operations and less time.
                weight = torch.kron(self.along, torch.eye(channels, device=x.device))
                mixed = (inner @ weight.mT).view(n, height, width - side, channels)
                x = torch.cat([x[:, :, :half], mixed, x[:, :, -half:]], 2)
            return x.permute(0, 3, 1, 2)

    def energy(self, pieces: Tensor) -> Tensor:
        """`(n,)`: squared length of each of `pieces (n, side, side, C)` after the filter, inside an image."""
        down, along = _gram(self.down), _gram(self.along)
        mixed = torch.einsum("ij,njkc,kl->nilc", down, pieces, along)
        return (mixed * pieces).sum((1, 2, 3))


def _gram(weight: Tensor) -> Tensor:
    half = len(weight) // 2
    parts = weight[:, half:], weight[:, :half]  # where the first and the second half of a piece go
    gram: Tensor = torch.block_diag(*(part.t() @ part for part in parts))
    return gram


class BlockTransform(Encoder):
    """Pieces of `multiple × multiple` pixels to as many numbers each as the code has channels."""

    def __init__(self, backbone: axes.Conv, plan: Plan) -> None:
        super().__init__()
        stem, halvings = backbone.depths(plan.geometry, plan.size)
        self.multiple = stem * 2**halvings
        self.is_cosine = backbone.start == "cosine"
        self.borders = BorderFilter(self.multiple) if backbone.overlap else None
        self.folds = folds_pixels(backbone, plan)
        self.straight = nn.Conv2d(plan.inputs * self.multiple**2, plan.features, 1)
        if self.is_cosine:
            basis = cosine_basis(plan.channels, self.multiple, plan.geometry.channels)[0]
            if self.folds:
                basis = order_as_folded(basis, plan.channels, self.multiple)
            start_as(self.straight, basis)

    @torch.no_grad()
    def centre_at(self, mean: Tensor) -> None:
        if self.is_cosine:
            centre(self.straight, mean, self.multiple, self.folds)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        pieces = x if self.borders is None else self.borders(x)
        unshuffle = fold if self.folds else F.pixel_unshuffle
        return Features(self.straight(unshuffle(pieces, self.multiple)))


@torch.no_grad()
def centre(straight: nn.Conv2d, mean: Tensor, multiple: int, folded: bool = False) -> None:
    """Let the transform of an even image of the brightness `mean (C,)` begin at zero."""
    assert straight.bias is not None
    weight = straight.weight[:, : len(mean) * multiple**2, 0, 0]
    even = mean.repeat(multiple**2) if folded else mean.repeat_interleave(multiple**2)
    straight.bias.copy_(-(weight @ even))
