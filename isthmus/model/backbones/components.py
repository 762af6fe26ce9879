"""Principal components as the code, and a decoder that draws the detail missing from them.

The components are those of the training images, found once and never trained: for aligned images they hold
far more than a convolutional encoder learns in minutes. Codes are whitened: each number has variance 1 over
the training images. The decoder computes the linear reconstruction and draws the missing detail by removing
noise in a few steps, given that reconstruction (Preechakul et al. 2022; Yang and Mandt 2023): with a squared
error alone it would give the mean of all detail that fits, which is blurred. Large images are reduced before
their components are found, and their detail is drawn at full size.
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
EXACT_SHARE = 0.25  # of codes that get no noise in training
LEAST_DOUBT = 0.05  # of the most: codes with noise get between the two
NEW_DOUBT = 0.25  # of the most, with which new images are drawn


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
        count, device = len(target), target.device

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        target = pad_to_size(target, round_up_size((height, width), 2 * self.stem))
        shares = torch.rand(2, count, generator=generator, device=device)
        doubt = self.doubt * LEAST_DOUBT ** shares[0] * (shares[1] >= EXACT_SHARE)
        codes, spread = self._disturb(code.values, doubt, generator)
        picture = self(codes, (target.shape[-2], target.shape[-1]))
        # With more doubt, coarse structure is uncertain too; the noise must still reach down to the finest
        # detail.
        least = (self.spread / spread).sqrt().flatten().log()
        angle = torch.atan((-NOISE_MEAN - least - NOISE_SPREAD * draw(count)).exp())
        detail = F.pixel_unshuffle((target - picture) / spread, self.stem)
        cosine, sine = angle.cos().view(-1, 1, 1, 1), angle.sin().view(-1, 1, 1, 1)
        clean = self._find_detail(cosine * draw(*detail.shape) + sine * detail, picture, angle, doubt)
        weight = (self.spread / (spread.flatten() * angle.cos())).square()
        if code.image_weight is not None:
            weight = weight * code.image_weight
        image = picture + spread * F.pixel_shuffle(clean, self.stem)
        return replace(code, image_weight=weight), image[..., :height, :width]

    def sample(
        self, z: Tensor, size: tuple[int, int] | None = None, skips: object = (),
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """Noise is removed in `steps`, each of which adds a little (SDE-DPM-Solver++ 2M, Lu et al. 2022).

        Later steps correct the errors of earlier ones. With a generator the code comes from a prior and is
        not fully trusted: its weak components are drawn too.
        """
        count = len(z)
        doubt = torch.full((count,), 0.0 if generator is None else NEW_DOUBT * self.doubt, device=z.device)
        z, spread = self._disturb(z, doubt, generator)
        picture = self(z, size, skips)
        shape = F.pixel_unshuffle(picture, self.stem).shape
        random = torch.Generator(device=z.device).manual_seed(0) if generator is None else generator

        def draw() -> Tensor:  # without a generator all images are drawn from the same noise
            noise_shape = shape if generator is not None else (1, *shape[1:])
            return torch.randn(noise_shape, generator=random, device=z.device)

        levels = _noise_levels(self.steps, float(self.spread / spread.max())).tolist()
        now, before, last_step = draw() * math.hypot(1, levels[0]), None, 1.0
        for level, then in itertools.pairwise(levels):
            angle = torch.full((count,), math.atan(1 / level), device=z.device)
            clean = self._find_detail(
                math.sin(math.atan(1 / level)) * now.expand(shape), picture, angle, doubt
            )
            if then == 0:
                now = clean
                break
            step, ratio = math.log(level / then), then / level
            ahead = clean if before is None else clean + (clean - before) * (step / (2 * last_step))
            now = ratio**2 * now + (1 - ratio**2) * ahead + then * math.sqrt(1 - ratio**2) * draw()
            before, last_step = clean, step
        drawn: Tensor = picture + spread * F.pixel_shuffle(now, self.stem)
        return drawn

    def _disturb(self, z: Tensor, doubt: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Codes `(N, K)` seen through noise, and how far images are from their pictures `(N, 1, 1, 1)`.

        The noise is alike in all components of the picture, `doubt (N,)` times the deviation of the weakest:
        it hides the weak ones and leaves the strong. Codes are shrunk to what is then most likely.
        """
        deviations = self.directions.norm(dim=1)
        weakest = deviations[deviations > 0].min() if bool(deviations.any()) else deviations.new_ones(())
        noise = (doubt * weakest)[:, None]
        ratio = deviations / (deviations.square() + noise.square()).sqrt().clamp_min(1e-12)
        if generator is not None:
            random = torch.randn(z.shape, generator=generator, device=z.device)
            z = ratio.square() * z.float() + ratio * (1 - ratio.square()).clamp_min(0).sqrt() * random
        hidden_variance = (deviations.square() * (1 - ratio.square())).sum(1) / len(self.mean)
        return z, (self.spread.square() + hidden_variance).sqrt().view(-1, 1, 1, 1)

    def _find_detail(self, noisy: Tensor, picture: Tensor, angle: Tensor, doubt: Tensor) -> Tensor:
        """The estimated detail. The network gives the velocity, so little noise causes little error."""
        given = F.pixel_unshuffle((picture - self.mean.mean()) / PICTURE_SPREAD, self.stem)
        velocity = self.network(noisy, given, angle / (math.pi / 2), doubt.log1p()).float()
        detail: Tensor = angle.sin().view(-1, 1, 1, 1) * noisy + angle.cos().view(-1, 1, 1, 1) * velocity
        return detail

    @torch.no_grad()
    def measure_detail(self, encoder: ComponentEncoder, batches: Iterable[Tensor]) -> None:
        """Measure how far images are from their linear pictures."""
        squares = [
            (x[:, : self.channels] - self(encoder(x).h[:, : len(self.directions)])).square().mean()
            for x in batches
        ]
        self.spread.copy_(torch.stack(squares).mean().sqrt().clamp_min(1e-3))


def _noise_levels(steps: int, share: float) -> Tensor:
    """`(steps + 1,)`: noise over detail, to `share` of the least and then 0 (Karras et al. 2022, eq. 5)."""
    first, last = MOST_NOISE ** (1 / NOISE_POWER), (LEAST_NOISE * share) ** (1 / NOISE_POWER)
    return torch.cat([torch.linspace(first, last, steps) ** NOISE_POWER, torch.zeros(1)])


def reduce(images: Tensor, reduction: int) -> Tensor:
    """`(N, C, H, W)` with means of `reduction × reduction` pixels in place of these."""
    return F.avg_pool2d(images, reduction) if reduction > 1 else images


def _numbers(channels: int, size: tuple[int, int], reduction: int) -> int:
    return channels * (size[0] // reduction) * (size[1] // reduction)
