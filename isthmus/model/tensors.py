"""The tensors that a model works on: images and codes checked, sizes, borders and memory layout."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.errors import DataError
from isthmus.images.array_format import Kind, to_batch
from isthmus.images.sample_range import Range

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


def apply_range(raw: Tensor, output: str) -> Tensor:
    """The decoder's range: a sigmoid, or nothing (clipped only where images leave the model)."""
    return torch.sigmoid(raw) if output == "sigmoid" else raw


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


BATCH = 256  # images per pass in encode, decode and reconstruct; large images go in smaller batches
PIXELS_PER_PASS = 2**22


def read_batch(images: Any, channels: int, value_range: Range | None) -> tuple[Tensor, Kind]:
    """Images of any kind as `(N, C, H, W)`, and the kind to give back.

    Raises:
        DataError: not images, samples out of range, or another number of channels.
    """
    batch, kind = to_batch(images, channels=channels, range=value_range)
    if batch.shape[1] != channels:
        names = {1: "gray", 3: "RGB"}
        raise DataError(
            "this model reads {expected} images, not {given} ones",
            id="model.image-channels",
            hint="channels come last: np.moveaxis(images, 1, -1)"
            if kind.layout == "NHWC" and batch.shape[2] == channels
            else None,
            expected=names.get(channels, f"{channels}-channel"),
            given=names.get(batch.shape[1], f"{batch.shape[1]}-channel"),
        )
    return batch, kind


def check_code_shape(values: Tensor, expected: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raises:
    DataError: these are no codes `(N, *expected)` of images of this size.
    """
    if tuple(values.shape[1:]) != expected:
        raise DataError(
            "a code of this model for {height}×{width} images has shape (N, {expected}), not {given}",
            id="model.code-shape",
            height=size[0],
            width=size[1],
            expected=", ".join(map(str, expected)),
            given=tuple(values.shape),
        )


def images_per_pass(batch: Tensor | None, size: tuple[int, int] = (1, 1)) -> int:
    """How many images `(N, C, H, W)`, or images of a size, go through the network at a time."""
    pixels = batch[0].numel() if batch is not None else size[0] * size[1]
    return max(1, min(BATCH, PIXELS_PER_PASS // max(pixels, 1)))
