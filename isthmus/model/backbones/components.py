"""Principal components as the code, and a decoder that draws the detail which they leave open.

The components are those of the training images, found once and never trained: of images that are laid out
alike they hold far more than a convolutional encoder learns in minutes. Codes are whitened: each number has
variance 1 over the training images. The decoder paints the linear picture, and draws what is missing by
removing noise in a few steps, given that picture (Preechakul et al. 2022; Yang and Mandt 2023): a squared
error alone would have it paint the mean of all detail that fits, which is blurred. Large images are reduced
before their components are found, and their detail is drawn at full size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.metrics.baselines import principal_subspace
from isthmus.model import axes
from isthmus.model.backbones.denoiser import Denoiser
from isthmus.model.backbones.interface import Decoder, Encoder, Features, Plan
from isthmus.model.recipe import Recipe
from isthmus.model.tensors import pad_to_size, round_up_size
from isthmus.model.trace import Latent

FIRST_LOG_VARIANCE = -4.0  # where the bottleneck takes one
PICTURE_SPREAD = 0.25  # of pixels, by which the picture is divided where the network sees it
NOISE_MEAN, NOISE_SPREAD = -0.8, 1.4  # of the logarithm of noise over detail in training (Karras et al. 2022)
MOST_NOISE, LEAST_NOISE, NOISE_POWER = 8.0, 0.04, 4.0  # over detail, in the steps of drawing


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
        decoder.measure_detail(self, batches())


class ComponentDecoder(Decoder):
    """`forward` paints the linear picture, `sample` draws an image that has it."""

    mean: Tensor
    directions: Tensor
    spread: Tensor

    def __init__(self, backbone: axes.Components, plan: Plan) -> None:
        super().__init__()
        self.stem, self.reduction = backbone.stem, backbone.reduction(plan.size)
        self.steps, self.doubt = backbone.steps, backbone.doubt
        self.channels, size = plan.channels, plan.size
        self.coarse = (size[0] // self.reduction, size[1] // self.reduction)
        numbers = _numbers(plan.channels, size, self.reduction)
        self.register_buffer("mean", torch.full((numbers,), 0.5))
        self.register_buffer("directions", torch.randn(plan.geometry.channels, numbers) * 0.1)
        self.register_buffer("spread", torch.tensor(0.1))  # of what is drawn, in levels
        fine, coarse = backbone.width
        folded = plan.channels * self.stem**2
        grid = (size[0] // self.stem, size[1] // self.stem)
        self.network = Denoiser(folded, folded, (fine, coarse), backbone.blocks, grid)

    def forward(self, z: Tensor, size: tuple[int, int] | None = None, skips: object = ()) -> Tensor:  # noqa: ARG002
        with torch.autocast(z.device.type, enabled=False):
            painted = (z.float() @ self.directions + self.mean).view(-1, self.channels, *self.coarse)
        if self.reduction > 1:
            painted = F.interpolate(painted, size or self.built_size, mode="bilinear")
        return painted

    def denoise(self, code: Latent, target: Tensor, generator: torch.Generator) -> tuple[Latent, Tensor]:
        """The weights make the squared error that of the velocity from noise to detail, on a quarter circle.

        This is flow matching on the trigonometric path (Albergo and Vanden-Eijnden 2023).
        """
        height, width = target.shape[-2:]
        z = code.values

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=z.device)

        target = pad_to_size(target, round_up_size((height, width), 2 * self.stem))
        doubt = self.doubt * torch.rand(len(z), generator=generator, device=z.device)
        picture = self(z + doubt[:, None] * draw(*z.shape), (target.shape[-2], target.shape[-1]))
        angle = torch.atan((-NOISE_MEAN - NOISE_SPREAD * draw(len(z))).exp())
        detail = F.pixel_unshuffle((target - picture) / self.spread, self.stem)
        cosine, sine = angle.cos().view(-1, 1, 1, 1), angle.sin().view(-1, 1, 1, 1)
        found = self._find_detail(cosine * draw(*detail.shape) + sine * detail, picture, angle, doubt)
        weight = angle.cos().square().reciprocal()
        if code.image_weight is not None:
            weight = weight * code.image_weight
        seen = picture + self.spread * F.pixel_shuffle(found, self.stem)
        return replace(code, image_weight=weight), seen[..., :height, :width]

    def sample(
        self, z: Tensor, size: tuple[int, int] | None = None, skips: object = (),
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Noise is removed in `steps`, none is added (DDIM, Song et al. 2021)."""
        picture = self(z, size, skips)
        shape = F.pixel_unshuffle(picture, self.stem).shape
        if generator is None:
            fixed = torch.Generator(device=z.device).manual_seed(0)
            now = torch.randn((1, *shape[1:]), generator=fixed, device=z.device).expand(shape)
        else:
            now = torch.randn(shape, generator=generator, device=z.device)
        sure = torch.zeros(len(z), device=z.device)
        for angle, then in itertools.pairwise(_angles(self.steps).to(z.device)):
            found = self._find_detail(now, picture, angle.expand(len(z)), sure)
            noise = (now - angle.sin() * found) / angle.cos()
            now = then.sin() * found + then.cos() * noise
        return picture + self.spread * F.pixel_shuffle(now, self.stem)

    def _find_detail(self, noisy: Tensor, picture: Tensor, angle: Tensor, doubt: Tensor) -> Tensor:
        """The detail as it seems to be. The network gives the velocity: little noise, little error."""
        given = F.pixel_unshuffle((picture - self.mean.mean()) / PICTURE_SPREAD, self.stem)
        velocity = self.network(noisy, given, angle / (math.pi / 2), doubt).float()
        found: Tensor = angle.sin().view(-1, 1, 1, 1) * noisy + angle.cos().view(-1, 1, 1, 1) * velocity
        return found

    @torch.no_grad()
    def measure_detail(self, encoder: ComponentEncoder, batches: Iterable[Tensor]) -> None:
        """Measure how far images are from their linear pictures."""
        squares = [
            (x[:, : self.channels] - self(encoder(x).h[:, : len(self.directions)])).square().mean()
            for x in batches
        ]
        self.spread.copy_(torch.stack(squares).mean().sqrt().clamp_min(1e-3))


def _angles(steps: int) -> Tensor:
    """`(steps + 1,)` from noise, 0, to detail, π/2, with the steps of Karras et al. (2022, eq. 5)."""
    first, last = MOST_NOISE ** (1 / NOISE_POWER), LEAST_NOISE ** (1 / NOISE_POWER)
    angles = torch.atan(torch.linspace(first, last, steps) ** -NOISE_POWER)
    return torch.cat([angles, torch.tensor([math.pi / 2])])


def reduce(images: Tensor, reduction: int) -> Tensor:
    """`(N, C, H, W)` with means of `reduction × reduction` pixels in place of these."""
    return F.avg_pool2d(images, reduction) if reduction > 1 else images


def _numbers(channels: int, size: tuple[int, int], reduction: int) -> int:
    return channels * (size[0] // reduction) * (size[1] // reduction)
