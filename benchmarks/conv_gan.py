"""A convolutional generative adversarial network, the yardstick of `new_images.py`.

The layers of DCGAN (Radford et al. 2016), for gray images of 64×64 .59 million numbers and a critic of .39
(`generative` has .66); the non-saturating loss with R1 (Mescheder et al. 2018), Adam, averaged weights.
"""

from __future__ import annotations

import itertools
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.generation.sampling import to_pixels
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels

NOISE, WIDTH = 64, 24  # numbers that an image is made from; channels at half the resolution
BATCH, RATE, R1, R1_EVERY, AVERAGE = 32, 4e-4, 1.0, 8, 0.998


def build_generator(side: int, channels: int) -> nn.Sequential:
    """Noise `(N, 64, 1, 1)` to images of `side` pixels, a power of two, in [-1, 1]."""
    widths = [WIDTH * side // (2 * at) for at in _sides(side)]
    layers: list[nn.Module] = [nn.ConvTranspose2d(NOISE, widths[0], 4), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())


def build_critic(side: int, channels: int) -> nn.Sequential:
    """Images to logits `(N, 1, 1, 1)`: real or made."""
    widths = [channels, *(WIDTH * side // (2 * at) for at in reversed(_sides(side)))]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4))


def _sides(side: int) -> list[int]:
    """4, 8, … up to half of `side`."""
    return [2**power for power in range(2, side.bit_length() - 1)]


def can_make(images: ImageSet) -> bool:
    """Whether these are square images of one size, whose side is a power of two from 8 on."""
    if images.shape is None:
        return False
    side, width, _ = images.shape
    return side == width and side >= 8 and side & (side - 1) == 0


def draw_from_gan(images: ImageSet, minutes: float, count: int, seed: int = 0) -> tuple[Pixels, int]:
    """Train for so many minutes on images that it `can_make`.

    Returns:
        `count` new images `(N, H, W, C)` uint8, and the steps that were taken.
    """
    assert images.shape is not None
    side, _, channels = images.shape
    torch.manual_seed(seed)
    generator, critic = build_generator(side, channels), build_critic(side, channels)
    averaged = {name: value.clone() for name, value in generator.state_dict().items()}
    players = [torch.optim.Adam(net.parameters(), RATE, (0.5, 0.99)) for net in (generator, critic)]
    random, step, end = np.random.default_rng(seed), 0, time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        rows = random.choice(len(images), min(BATCH, len(images)), replace=False)
        _train_step(generator, critic, players, to_levels(images.stack(rows.tolist())), step)
        for name, value in generator.state_dict().items():
            if value.is_floating_point():
                averaged[name].lerp_(value, 1 - min(AVERAGE, step / (step + 10)))
        step += 1
    generator.load_state_dict(averaged)
    generator.eval()
    with torch.no_grad():
        parts = [generator(torch.randn(min(500, count - at), NOISE, 1, 1)) for at in range(0, count, 500)]
    return to_pixels(torch.cat(parts).add(1).div(2)), step


def _train_step(
    generator: nn.Module, critic: nn.Module, players: list[torch.optim.Adam], real: Tensor, step: int
) -> None:
    maker, judge = players
    with_penalty = step % R1_EVERY == 0
    real.requires_grad_(with_penalty)
    made = generator(torch.randn(len(real), NOISE, 1, 1))
    answers = critic(real)
    loss = F.softplus(-answers).mean() + F.softplus(critic(made.detach())).mean()
    if with_penalty:
        (slope,) = torch.autograd.grad(answers.sum(), real, create_graph=True)
        loss = loss + R1_EVERY * R1 / 2 * slope.square().flatten(1).sum(1).mean()
    judge.zero_grad()
    loss.backward()
    judge.step()
    maker.zero_grad()
    F.softplus(-critic(made)).mean().backward()
    maker.step()


def to_levels(pixels: Pixels) -> Tensor:
    """`(N, H, W, C)` → `(N, C, H, W)` in [-1, 1]."""
    return torch.from_numpy(to_dtype(pixels, np.float32)).permute(0, 3, 1, 2) * 2 - 1
