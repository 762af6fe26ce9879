"""Integer codes whose rate is learned: what a codec writes to a file (Ballé et al. 2018).

**Context.** Mean and scale of each value are predicted, linear in its context. Channels are coded one after
another, each in the two passes of a checkerboard. The context of a value is its 3×3 neighbourhood in all
earlier channels and, in the second pass, its four neighbours in its own channel. The mean is linear in their
values and the scale in their magnitudes, so that integer arithmetic can do the same when files are written
(conditioning in the spirit of Minnen et al. 2018, §3, and 2020, §3.1; the checkerboard of He et al. 2021,
§3.2), and training shapes the latents for this coder.

**Gains.** One model has many rates: quality, from 1 to 100, decides how finely each channel is rounded (Cui
et al. 2021, §3). The logarithm of λ, the weight of a squared error against a bit, is linear in it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.geometry import Geometry
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace

KNOTS = 6
BEST = 100.0
# Adam changes a number by about the learning rate in each step, but logarithms of steps and spreads must
# change by units, not by hundredths: they are stored divided by this.
UNIT = 20.0


class Gains(nn.Module):
    """Steps per unit of each channel at a quality: a table of logarithms over quality, interpolated."""

    def __init__(self, low: float, high: float, channels: int) -> None:
        """`low`, `high`: λ at quality 1 and 100."""
        super().__init__()
        self.low, self.high = low, high
        # Where an orthonormal transform of RGB would begin: bits per pixel fall by 3·log₂e/step, and λ·255²
        # times the squared error step²/12 rises by λ·255²·step/6.
        start = self.weight(torch.linspace(1, BEST, KNOTS)) * 65025 / (18 / math.log(2))
        self.log_gain = nn.Parameter(0.5 / UNIT * start.log()[:, None].repeat(1, channels))

    def weight(self, quality: Tensor) -> Tensor:
        """λ at a quality."""
        return self.low * (self.high / self.low) ** ((quality - 1) / (BEST - 1))

    def forward(self, quality: Tensor) -> Tensor:
        """`(N,)` in [1, 100] → `(N, channels)`, positive."""
        return (UNIT * interpolated(self.log_gain, quality)).exp()


def interpolated(table: Tensor, quality: Tensor) -> Tensor:
    """Rows of `table (KNOTS, C)`, evenly spaced over qualities 1 to 100, at `quality (N,)` → `(N, C)`."""
    place = (quality.clamp(1.0, BEST) - 1) / (BEST - 1) * (len(table) - 1)
    below = place.floor().clamp(max=len(table) - 2).long()
    share = (place - below)[:, None]
    return table[below] * (1 - share) + table[below + 1] * share


def draw(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """`(count,)` qualities, uniform, evenly spread over a batch so that every step sees all rates."""
    places = torch.arange(count, device=device) + torch.rand(count, generator=generator, device=device)
    order = torch.randperm(count, generator=generator, device=device)
    return 1 + (BEST - 1) * places[order] / count


def nats_per_error(weight: Tensor, channels: int) -> Tensor:
    """The weight of the mean squared error (of values in [0, 1]) compared with nats per pixel-channel.

    `bits per pixel + λ·255²·MSE` (Ballé et al. 2018, §2) in the unit of the objective.
    """
    return weight * 65025 * math.log(2) / channels


SIDE = 3
_CROSS = ((0.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0))
LEAST_SCALE = 0.05  # in steps: below, almost every value is certain, and gradients would explode


class ChannelContext(nn.Module):
    """`forward(values (N, C, h, w)) -> (mean, magnitude)`, both of that shape, in the unit of the values.

    `magnitude` may be negative; the caller adds the scale without context, and bounds the sum.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        shape = (channels, channels, SIDE, SIDE)
        self.mean = nn.Parameter(torch.zeros(shape))
        self.magnitude = nn.Parameter(torch.zeros(shape))
        self.mean_beside = nn.Parameter(torch.zeros(channels, 1, SIDE, SIDE))
        self.magnitude_beside = nn.Parameter(torch.full((channels, 1, SIDE, SIDE), 0.05))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        first = checkerboard(values)
        return (
            self._linear(values, self.mean, self.mean_beside, first),
            self._linear(values.abs(), self.magnitude, self.magnitude_beside, first),
        )

    def _linear(self, context: Tensor, weight: Tensor, beside: Tensor, first: Tensor) -> Tensor:
        earlier = torch.ones(weight.shape[:2], device=weight.device).tril(-1)[..., None, None]
        across = F.conv2d(context, weight * earlier, padding=SIDE // 2)
        # The four neighbours of a value of the second pass all belong to the first.
        cross = torch.tensor(_CROSS, device=weight.device)
        own = F.conv2d(context, beside * cross, padding=SIDE // 2, groups=context.shape[1])
        return across + own * ~first


def checkerboard(like: Tensor) -> Tensor:
    """`(h, w)` boolean: True where row + column is even, the values of the first pass."""
    rows = torch.arange(like.shape[-2], device=like.device)[:, None]
    columns = torch.arange(like.shape[-1], device=like.device)
    return (rows + columns) % 2 == 0


COMPONENTS = 3


class EntropyBottleneck(Bottleneck):
    """Values are rounded to integers. The penalty is their rate in nats per image.

    In training the decoder gets rounded values (straight through). The rate is that of values with uniform
    noise, but their context is rounded, as in files (Minnen and Singh 2020, §3.3).
    `P(k) = F(k + ½) − F(k − ½)` (Ballé et al. 2018, eq. 7 and 24), where F is a Laplacian around the
    prediction of the context or, without context, a mixture of logistics per channel (Salimans et al. 2017,
    eq. 2).

    Over a range of λ every image of a training batch is coded at its own quality, and its error weighed with
    its own λ: one model then has all rates.
    """

    penalty_name = "rate"

    def __init__(self, settings: axes.Entropy, geometry: Geometry, channels: int = 3) -> None:
        """`channels`: of the images."""
        super().__init__()
        self.weight, self.warmup = settings.weight, settings.warmup
        self.quality, self.image_channels = settings.quality, channels
        self.gains: Gains | None = None
        if settings.low is not None:
            self.gains = Gains(settings.low, settings.high, geometry.channels)
            # Of the values rounded to a step most were nearer to zero than it is.
            self.shrink = nn.Parameter(torch.full((geometry.channels,), -3.0 / UNIT))
        self.context: ChannelContext | None = None
        if settings.context:
            self.context = ChannelContext(geometry.channels)
            self.scale = nn.Parameter(torch.zeros(KNOTS, geometry.channels))
        else:
            spread = torch.linspace(-2, 2, COMPONENTS).repeat(geometry.channels, 1)
            self.mean = nn.Parameter(spread)
            self.log_scale = nn.Parameter(torch.ones(geometry.channels, COMPONENTS))
            self.logit = nn.Parameter(torch.zeros(geometry.channels, COMPONENTS))

    @classmethod
    def build(cls, settings: axes.Entropy, recipe: Recipe, channels: int) -> Bottleneck:
        return cls(settings, recipe.geometry, channels)

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:
        quality = torch.full((h.shape[0],), self.quality, device=h.device)
        if sample and self.gains is not None:
            quality = draw(h.shape[0], generator, h.device)
        return self.coded(h, quality, generator if sample else None)

    def coded(self, h: Tensor, quality: Tensor, noise: torch.Generator | None = None) -> Latent:
        """The code of `h (N, C, …)` at `quality (N,)`; with `noise` its rate is that of values with it."""
        scaled = h * self.gain(quality, h.ndim)
        symbols = scaled.round().detach() + (scaled - scaled.detach())  # in this order exactly the integer
        parts = {"symbols": symbols, "rated": symbols, "quality": quality}
        if noise is not None:
            parts["rated"] = scaled + (torch.rand(h.shape, generator=noise, device=h.device) - 0.5)
        values = self.values(symbols, quality)
        if self.gains is None:
            return Latent(values, parts)
        # Rates differ by an order of magnitude over the range: so weighed, a percent of each counts alike.
        alike = self.gains.weight(quality) ** -0.5 * (self.gains.low * self.gains.high) ** 0.25
        weight = self.error_weight(quality)
        return Latent(values, parts, image_weight=alike * weight, code_weight=alike)

    def gain(self, quality: Tensor, axes_count: int) -> Tensor:
        """Steps per unit, `(N, C, 1, 1)` for 4 axes, `(N, C)` for 2."""
        if self.gains is None:
            return torch.ones((), device=quality.device)
        gain: Tensor = self.gains(quality)
        return gain.view(*gain.shape, *(1,) * (axes_count - 2))

    def spread(self, quality: Tensor) -> Tensor:
        """`(N, C)`: the part of each channel's scale that does not depend on its context."""
        return UNIT * interpolated(self.scale, quality)

    def values(self, symbols: Tensor, quality: Tensor) -> Tensor:
        """What the decoder reads for `symbols (N, C, …)`, integers as floats, at `quality (N,)`."""
        if self.gains is None:
            return symbols
        nearer = self.shift().view(1, -1, *(1,) * (symbols.ndim - 2))
        return (symbols - symbols.detach().sign() * nearer) / self.gain(quality, symbols.ndim)

    def shift(self) -> Tensor:
        """`(C,)`: by how much of a step the decoder reads symbols nearer to zero; one 0 without gains."""
        return torch.zeros(1) if self.gains is None else 0.5 * (UNIT * self.shrink).sigmoid()

    def error_weight(self, quality: Tensor) -> Tensor:
        """`(N,)`: the weight of a squared error of values in [0, 1], summed over an image, compared with a
        nat.
        """
        if self.gains is None:
            return torch.full_like(quality, 1 / max(self.weight, 1e-9))
        return nats_per_error(self.gains.weight(quality), self.image_channels)

    # ------------------------------------------------------------ rate

    def penalty(self, trace: Trace) -> Tensor:
        return self.rate(trace.code)

    def rate(self, code: Latent) -> Tensor:
        """`(N,)`, nats per image."""
        rated = code.parts["rated"]
        if self.context is None:
            return self.nats(rated).flatten(1).sum(1)
        return self._nats_in_context(rated, code.parts["symbols"], code.parts["quality"]).flatten(1).sum(1)

    def _nats_in_context(self, rated: Tensor, symbols: Tensor, quality: Tensor) -> Tensor:
        assert self.context is not None
        if symbols.ndim == 2:  # a vector is a grid of one position
            rated, symbols = rated[..., None, None], symbols[..., None, None]
        gain = self.gain(quality, 4)
        mean, magnitude = self.context(symbols / gain)
        scale = F.softplus(self.spread(quality)[..., None, None] + gain * magnitude) + LEAST_SCALE
        away, inverse = (rated - gain * mean).abs(), 1 / scale
        # −log(F(x + ½) − F(x − ½)) of a Laplace density, in a form that neither cancels nor overflows: beyond
        # half a step it is linear.
        near = away.clamp_max(0.5)
        mass = torch.expm1((near - 0.5) * inverse) + torch.expm1((-near - 0.5) * inverse)
        nats: Tensor = (away - near) * inverse - (-0.5 * mass).log()
        return nats

    def nats(self, values: Tensor) -> Tensor:
        """−log P of each value without context, same shape as `values (N, C, …)`."""
        view = (1, -1, *(1,) * (values.ndim - 2), COMPONENTS)
        x = values[..., None] - self.mean.view(view)
        inverse = (-self.log_scale.clamp(-7, 7)).exp().view(view)
        # F(a) − F(b) is taken on the side of the median where both are small, which keeps its digits.
        side = torch.where(x > 0, -1.0, 1.0)
        upper, lower = side * (x + 0.5) * inverse, side * (x - 0.5) * inverse
        mass = (upper.sigmoid() - lower.sigmoid()).abs()
        probability = (mass * self.logit.softmax(-1).view(view)).sum(-1)
        return -probability.clamp_min(1e-9).log()


def rate_model(model: nn.Module) -> EntropyBottleneck:
    """The bottleneck of a model whose codes have a rate (`axes.Bottleneck.has_rate`), for a codec to ask."""
    bottleneck = model.get_submodule("bottleneck")
    assert isinstance(bottleneck, EntropyBottleneck)  # has_rate promises it
    return bottleneck
