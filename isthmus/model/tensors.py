"""Sizes, borders and memory layout of the tensors that a model works on."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.images.array_format import Kind

Model = TypeVar("Model", bound=nn.Module)


def round_up_size(size: tuple[int, ...], multiple: int) -> tuple[int, int]:
    """The least `(H, W)` of multiples that holds `size`."""
    h, w = size
    return -(-h // multiple) * multiple, -(-w // multiple) * multiple


def pad_to_size(x: Tensor, size: tuple[int, int]) -> Tensor:
    """`(N, C, h, w)` → `(N, C, *size)`: the last row and column are repeated."""
    down, right = size[0] - x.shape[-2], size[1] - x.shape[-1]
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def resize_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """`(N, C, h, w)` → `(N, C, *size)`, bilinear with antialiasing."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def channels_last(model: Model) -> Model:
    """The same model with its kernels laid out as the fastest convolutions want them."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def convert_like(values: Tensor, kind: Kind) -> np.ndarray | Tensor:
    """NumPy, or a tensor on the device that the images came from."""
    return values.cpu().numpy() if kind.device is None else values.to(kind.device)


def plain_kind(values: np.ndarray | Tensor) -> Kind:
    """The kind of images that a bare code decodes to: floats, NumPy or torch as the code is."""
    if isinstance(values, Tensor):
        return Kind(torch.float32, None, values.device)
    return Kind(np.dtype(np.float32), "NHWC", None)
