"""Residual blocks, 3×3 convolutions with their borders, and layers that stay in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.backbones.interface import activation
from isthmus.model.backbones.linear_path import BLOCK_SHARE


class Block(nn.Module):
    """Two 3×3 convolutions after their nonlinearities (He et al. 2016, pre-activation), or one without.

    Run several times with the same weights it sees farther and costs no parameters (Liang and Hu 2015).
    """

    def __init__(self, width: int, backbone: axes.Conv) -> None:
        super().__init__()
        self.residual, self.repeats = backbone.residual, backbone.repeats
        convolutions = 2 if backbone.residual else 1
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [activation(backbone.activation), conv3(width, width, backbone)]
            if backbone.norm == "batch":
                layers.append(nn.BatchNorm2d(width))
        self.layers = nn.Sequential(*layers)
        if self.residual:
            # A residual net starts as the identity of its stages: the last convolution adds little at first.
            with torch.no_grad():
                self.last_convolution().weight.mul_(BLOCK_SHARE)

    def last_convolution(self) -> nn.Conv2d:
        return next(layer for layer in reversed(self.layers) if isinstance(layer, nn.Conv2d))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.repeats):
            y: Tensor = self.layers(x)
            x = x + y if self.residual else y
        return x


class ReflectConv(nn.Conv2d):
    """A 3×3 convolution with reflected borders; a single row or column, which cannot be, is repeated."""

    def forward(self, x: Tensor) -> Tensor:
        mode = "reflect" if min(x.shape[-2:]) > 1 else "replicate"
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), self.weight, self.bias, self.stride)


def in_full(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer in float32 where the rest runs in bfloat16: it carries most of a picture, and is cheap."""
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = layer(x.float())
    return y


def conv3(inputs: int, outputs: int, backbone: axes.Conv, stride: int = 1) -> nn.Conv2d:
    if backbone.padding == "reflect":
        return ReflectConv(inputs, outputs, 3, stride)
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def build_stage(width: int, backbone: axes.Conv, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, backbone) for _ in range(blocks)))
