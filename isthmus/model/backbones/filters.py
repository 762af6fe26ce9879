"""One wide layer of overlapping filters on whitened pixels: the convolutional winner-take-all autoencoder.

Makhzani and Frey 2015, "Winner-take-all autoencoders", with one layer, and the whitening of Coates, Lee
and Ng 2011, "An analysis of single-layer networks in unsupervised feature learning". Encoder: whiten
each `side × side` piece, then one filter per code channel; all of it linear. The bottleneck decides which
filters win (`top-k`). Decoder: every filter that won paints its piece, overlapping pieces are added up.

The filters may start at the solution of the limiting case, in which one filter wins per piece: directions of
the whitened pieces, found by alternating between choosing the winner and averaging the pieces that it won
(gain-shape vector quantisation; OMP-1 in Coates and Ng 2011, "The importance of encoding versus training with
sparse coding and vector quantization"). Gradient descent goes on from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import Decoder, Encoder, Features, Plan
from isthmus.model.recipe import Recipe

ROUNDS = 10
QUIET = 1e-2  # variance, relative to the mean one, below which a piece counts as empty
CHUNK = 8192


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    return FiltersEncoder(recipe, plan), FiltersDecoder(recipe, plan)


class FiltersEncoder(Encoder):
    """`(N, inputs, H, W)` → `(N, features, H/stride, W/stride)`, linear in the pixels."""

    mean: Tensor
    whitener: Tensor

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _filters(recipe)
        assert plan.geometry.stride is not None
        self.side, self.stride = backbone.side, plan.geometry.stride
        self.multiple, self.inputs = self.stride, plan.inputs
        numbers = plan.inputs * self.side**2
        # Statistics of the images, not weights: buffers are saved, and not moved by an optimiser.
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("whitener", torch.eye(numbers))
        self.directions = nn.Parameter(F.normalize(torch.randn(plan.features, numbers), dim=1))
        self.gain = nn.Parameter(torch.full((plan.features,), _share(self.side, self.stride)))

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Features:  # noqa: ARG002
        kernels = self.gain[:, None] * self.directions @ self.whitener
        return Features(F.conv2d(_framed(x, self.side, self.stride), self._as_kernels(kernels),
                                 -(kernels @ self.mean), self.stride))  # fmt: skip

    def responses(self, images: Tensor) -> Tensor:
        """The response of every filter at every place: `(N, C, H, W)` → `(N, filters, H−side+1, W−side+1)`.

        Each whitened piece is first scaled to unit mean square (local contrast normalisation), so that a
        response has the same meaning in faint and in strong parts of an image. Images smaller than a filter
        are extended.
        """
        missing = self.inputs - images.shape[1]
        if missing:  # a condition map: nothing was done to these images
            images = torch.cat([images, torch.zeros_like(images[:, :missing])], 1)
        down, right = max(0, self.side - images.shape[-2]), max(0, self.side - images.shape[-1])
        if down or right:
            images = F.pad(images, (0, right, 0, down), mode="replicate")
        # As one matrix product on unfolded pieces: a first convolution on few channels is slow on a CPU.
        pieces = F.unfold(images, self.side).transpose(1, 2)  # (N, positions, numbers)
        whitened = scaled((pieces - self.mean) @ self.whitener.T)
        answers = whitened @ self.directions.T
        height, width = images.shape[-2] - self.side + 1, images.shape[-1] - self.side + 1
        return answers.transpose(1, 2).reshape(len(images), -1, height, width)

    def start_with(self, decoder: Decoder, patches: Tensor, *, winning: int | None, seed: int) -> None:
        assert isinstance(decoder, FiltersDecoder)
        start_filters(self, decoder, patches.flatten(1), winning=winning, seed=seed)

    def _as_kernels(self, rows: Tensor) -> Tensor:
        return rows.view(len(rows), self.inputs, self.side, self.side)


class FiltersDecoder(Decoder):
    """Every code channel paints its own piece at its place; pieces are added up."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        super().__init__()
        backbone = _filters(recipe)
        assert plan.geometry.stride is not None
        self.side, self.stride, self.multiple = backbone.side, plan.geometry.stride, plan.geometry.stride
        self.unit = plan.unit_columns
        shape = (plan.geometry.channels, plan.channels, self.side, self.side)
        self.pieces = nn.Parameter(torch.randn(shape) / math.sqrt(plan.geometry.channels))

    def forward(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,
        skips: Sequence[Tensor] = (),  # noqa: ARG002
    ) -> Tensor:
        height, width = size or self.image_size(z)
        pieces = self.pieces
        if self.unit:
            pieces = pieces / torch.linalg.vector_norm(pieces, dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
        painted = F.conv_transpose2d(z, pieces, stride=self.stride)
        before = _before(self.side, self.stride)
        return painted[..., before : before + height, before : before + width]


@torch.no_grad()
def start_filters(
    encoder: FiltersEncoder, decoder: FiltersDecoder, pieces: Tensor, *, winning: int | None, seed: int
) -> None:
    """Begin with whitening and winner-take-all filters of `pieces (n, C·side²)`, pixels in [0, 1].

    `winning` of the filters will be kept at a place, None for all.
    """
    channels = decoder.pieces.shape[1]
    used = slice(0, channels * encoder.side**2)  # a condition map is no part of the picture: it stays unused
    mean, whitener = whitening(pieces)
    encoder.mean[used] = mean
    encoder.whitener.zero_()
    encoder.whitener[used, used] = whitener
    count = len(decoder.pieces)
    directions = winners(scaled((pieces - mean) @ whitener.T), count, seed=seed)
    encoder.directions.zero_()
    encoder.directions[:count, used] = directions
    # What a direction looks like in pixels; its length is what the encoder's answer has to be scaled by.
    painted = directions @ torch.linalg.pinv(whitener).T
    lengths = torch.linalg.vector_norm(painted, dim=1).clamp_min(1e-6)
    encoder.gain.zero_()
    encoder.gain[:count] = lengths
    atoms = painted / lengths[:, None]
    decoder.pieces.copy_(atoms.view_as(decoder.pieces))
    # Similar filters win together; their sum, not each of them, must reconstruct the piece.
    some = pieces[:: max(1, len(pieces) // CHUNK)] - mean
    answers = some @ (encoder.gain[:count, None] * directions @ whitener).T
    if winning is not None and winning < count:
        winners_of_each = answers.abs().topk(winning, dim=1).indices
        answers = torch.zeros_like(answers).scatter(1, winners_of_each, answers.gather(1, winners_of_each))
    again = answers @ atoms
    share = float((some * again).sum() / again.square().sum().clamp_min(1e-12))
    encoder.gain.mul_(share * _share(encoder.side, encoder.stride))


def whitening(pieces: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `(d,)` and ZCA matrix `(d, d)` of pieces `(n, d)` (Bell and Sejnowski 1997).

    Directions with less than a hundredth of the mean variance are damped, so that noise is not amplified.
    """
    mean = pieces.mean(0)
    centred = pieces - mean
    covariance = centred.T @ centred / max(1, len(pieces) - 1)
    values, vectors = torch.linalg.eigh(covariance.double())
    scale = (values.clamp_min(0) + QUIET * values.mean().clamp_min(1e-8)).rsqrt()
    return mean, ((vectors * scale) @ vectors.T).float()


def scaled(rows: Tensor) -> Tensor:
    """Rows `(..., d)` at unit mean square; nearly empty ones stay small."""
    return rows / (rows.square().mean(-1, keepdim=True) + QUIET).sqrt()


def winners(rows: Tensor, count: int, *, seed: int) -> Tensor:
    """`count` unit directions `(count, d)` of which one, with its gain, stands for each row `(n, d)`.

    Alternates between the best direction of each row (largest |product|) and, for each direction, the sum of
    what it won weighted by the gains. A direction that won nothing becomes a row drawn at random.
    """
    generator = torch.Generator().manual_seed(seed)

    def some(number: int) -> Tensor:
        drawn = rows[torch.randint(len(rows), (number,), generator=generator)]
        noise = 1e-3 * torch.randn(drawn.shape, generator=generator)
        return F.normalize(drawn + noise, dim=1)

    directions = some(count)
    for _ in range(ROUNDS):
        sums = torch.zeros_like(directions)
        for part in torch.split(rows, CHUNK):
            answers = part @ directions.T
            winner = answers.abs().argmax(1)
            gain = answers.gather(1, winner[:, None])
            sums.index_add_(0, winner, part * gain)
        lengths = torch.linalg.vector_norm(sums, dim=1)
        idle = lengths < 1e-6
        directions = sums / lengths.clamp_min(1e-6)[:, None]
        if bool(idle.any()):
            directions[idle] = some(int(idle.sum()))
    return directions


def _filters(recipe: Recipe) -> axes.Filters:
    assert isinstance(recipe.backbone, axes.Filters)
    return recipe.backbone


def _before(side: int, stride: int) -> int:
    return max(0, side - stride) // 2


def _share(side: int, stride: int) -> float:
    """How much of a pixel each of the pieces that overlap there has to paint."""
    return min(1.0, (stride / side) ** 2)


def _framed(x: Tensor, side: int, stride: int) -> Tensor:
    """Room around the image for as many pieces as there are steps of the code."""
    before = _before(side, stride)
    after = max(0, side - stride) - before
    return F.pad(x, (before, after, before, after), mode="replicate") if before or after else x
