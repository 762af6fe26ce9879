"""The four networks of `benchmarks/training.py` in plain PyTorch: what a tutorial would write, by layer.

They have the layers and parameters of the recipes in `benchmarks/speed/points.py`; the benchmark counts.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def build(name: str) -> tuple[nn.Module, nn.Module]:
    """`(encoder, decoder)`: images `(N, C, H, W)` → code → images in [0, 1]."""
    return NETWORKS[name]()


def _dense() -> tuple[nn.Module, nn.Module]:
    def layers(*widths: int) -> list[nn.Module]:
        modules: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            modules += [nn.Linear(inputs, outputs), nn.ReLU()]
        return modules[:-1]

    encoder = nn.Sequential(nn.Flatten(), *layers(784, 512, 128, 32))
    return encoder, nn.Sequential(*layers(32, 128, 512, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


def _small_conv() -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(32, 32, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 32, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
        nn.Sigmoid(),
    )
    return encoder, decoder


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


def _conv() -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(12, 64, 3, padding=1),
        Residual(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 2, 2),
        Residual(128),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128 * 64, 128),
    )
    decoder = nn.Sequential(
        nn.Linear(128, 128 * 64),
        nn.Unflatten(1, (128, 8, 8)),
        nn.Conv2d(128, 128, 3, padding=1),
        Residual(128),
        nn.ReLU(),
        nn.Conv2d(128, 256, 1),
        nn.PixelShuffle(2),
        Residual(64),
        nn.ReLU(),
        nn.Conv2d(64, 12, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Sigmoid(),
    )
    return encoder, decoder


def waves(side: int, bands: int = 4) -> Tensor:
    """`(side², 4·bands)`: sines and cosines of row and column at doubling frequencies."""
    ramp = torch.linspace(-1, 1, side)
    ramps = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij")).flatten(1)
    phases = (ramps[None] * (math.pi / 2 * 2.0 ** torch.arange(bands))[:, None, None]).flatten(0, 1)
    return torch.cat([phases.sin(), phases.cos()]).T


class Where(nn.Module):
    where: Tensor

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.register_buffer("where", waves(side))
        self.project = nn.Linear(16, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.project(self.where)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, width)
        x = x + self.out(mixed)
        return x + self.mlp(self.norm2(x))


class AttentionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(48, 128)
        self.rest = nn.Sequential(
            Where(8, 128),
            *(Block(128, 4) for _ in range(3)),
            nn.LayerNorm(128),
            nn.Linear(128, 32),
            nn.Flatten(),
            nn.Linear(32 * 64, 64),
        )

    def forward(self, x: Tensor) -> Tensor:
        patches = F.pixel_unshuffle(x, 4).flatten(2).transpose(1, 2)
        return self.rest(self.embed(patches))


class AttentionDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Linear(64, 128)
        self.rest = nn.Sequential(
            Where(8, 128), *(Block(128, 4) for _ in range(3)), nn.LayerNorm(128), nn.Linear(128, 48)
        )

    def forward(self, z: Tensor) -> Tensor:
        patches = self.rest(self.entry(z)[:, None].expand(-1, 64, -1)).transpose(1, 2)
        return F.pixel_shuffle(patches.reshape(-1, 48, 8, 8), 4).sigmoid()


NETWORKS = {
    "dense": _dense,
    "small-conv": _small_conv,
    "conv": _conv,
    "attention": lambda: (AttentionEncoder(), AttentionDecoder()),
}


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())
