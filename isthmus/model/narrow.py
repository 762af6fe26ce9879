"""Weights in fewer bits on disk: 16-bit floats, or whole numbers of 8 bits with a step per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Bits = Literal[8, 16, 32]
STEP = "::step"  # what the steps of a tensor in 8 bits are called
LEAST = 1024  # numbers that a tensor of 8 bits has at least: below, its precision costs nothing


def narrowed(tensors: dict[str, Tensor], bits: Bits) -> dict[str, Tensor]:
    """What is written for `tensors`: matrices and kernels in 8 bits are rounded to a step for each output."""
    import torch

    if bits == 32:
        return tensors
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            stored[name] = tensor
        elif bits == 16 or tensor.ndim < 2 or tensor.numel() < LEAST:
            stored[name] = tensor.half()
        else:
            largest = tensor.abs().flatten(1).amax(1).float()
            step = torch.where(largest > 0, largest / 127, 1.0)
            stored[name] = (tensor.float() / _match_axes(step, tensor)).round().to(torch.int8)
            stored[name + STEP] = step
    return stored


def widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse: floats of 32 bits.

    Raises:
        ValueError: steps that do not belong to a tensor.
    """
    restored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(STEP):
            of = tensors.get(name.removesuffix(STEP))
            if of is None or of.ndim == 0 or tensor.shape != of.shape[:1]:
                raise ValueError(f"{name} has no tensor that it fits")
            continue
        step = tensors.get(name + STEP)
        if step is not None:
            restored[name] = tensor.float() * _match_axes(step.float(), tensor)
        else:
            short = tensor.is_floating_point() and tensor.element_size() == 2
            restored[name] = tensor.float() if short else tensor
    return restored


def _match_axes(step: Tensor, tensor: Tensor) -> Tensor:
    return step.view(-1, *(1,) * (tensor.ndim - 1))
