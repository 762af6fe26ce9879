"""First weights of a network whose straight path already knows something."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus.model.backbones.interface import Entry

BLOCK_SHARE = 0.2  # of its input's size that a residual block adds at first


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
    """Let what a stage adds begin at a hundredth, or its noise drowns what the straight path knows."""
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
    """Weights that keep the size of what passes a rectifier (He et al. 2015); PyTorch's own halve it."""
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
