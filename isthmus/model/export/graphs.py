"""The parts of a model as plain functions of one tensor, without anything only training needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.model.autoencoder import Autoencoder
from isthmus.model.terms import apply_range


@dataclass(frozen=True)
class Graph:
    """One part.

    Attributes:
        name: `encoder`, `decoder`, or `whole` for a model whose code does not hold the image.
        module: takes and gives one tensor.
        input, output: what these are called in the file.
        step: the input's sides are multiples of this; None where they are fixed.
        example: shape `(N, C, …)` of an input, for N images and, where sides are free, a height and a width
            in steps.
        own: height and width of the model's own size, in steps.
    """

    name: str
    module: nn.Module
    input: str
    output: str
    step: int | None
    example: Callable[[int, int, int], tuple[int, ...]]
    own: tuple[int, int]


def graphs(model: Autoencoder) -> list[Graph]:
    """Encoder and decoder apart, or the whole of a model with skips."""
    if model.recipe.backbone.has_skips:
        return [_from_images(model, "whole", Whole(model), "restored")]
    shape = model.recipe.geometry.shape(_canvas(model))
    free = model.recipe.geometry.stride is not None

    def code(count: int, rows: int, columns: int) -> tuple[int, ...]:
        if not free:
            return (count, *shape)
        per_step = model.multiple // (model.recipe.geometry.stride or 1)
        return count, shape[0], rows * per_step, columns * per_step

    per_step = model.multiple // (model.recipe.geometry.stride or 1) if free else None
    return [
        _from_images(model, "encoder", Encode(model), "code"),
        Graph("decoder", Decode(model), "code", "images", per_step, code, _own(model)),
    ]


class Encode(nn.Module):
    """`(N, C, H, W)` in [0, 1] → the deterministic code, as `Autoencoder.encode_batch`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.encoder(_padded(_with_condition(images, model), model), None)
        # Nothing is drawn for a deterministic code, but a generator is a part of the signature.
        code = model.bottleneck(features.h.float(), torch.Generator(), False)
        values: Tensor = code.values
        return values


class Decode(nn.Module):
    """Code values → `(N, C, H, W)` in [0, 1], as `Autoencoder.decode_batch`."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, code: Tensor) -> Tensor:
        model, stride = self.model, self.model.recipe.geometry.stride
        size = _canvas(model)
        if stride is not None:
            size = (code.shape[-2] * stride, code.shape[-1] * stride)
        raw = model.decoder(code, size, []).float()
        if stride is None:
            raw = raw[..., : model.size[0], : model.size[1]]
        return apply_range(raw + model.offset, model.recipe.backbone.output).clamp(0, 1)


class Whole(nn.Module):
    """`(N, C or C + 1, H, W)` → `(N, C, H, W)`, restored; the further input channel is the condition."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        features = model.encoder(images, None)
        code = model.bottleneck(features.h.float(), torch.Generator(), False)
        raw = model.decoder(code.values, (images.shape[-2], images.shape[-1]), features.skips).float()
        return apply_range(raw + model.offset, model.recipe.backbone.output).clamp(0, 1)


def _from_images(model: Autoencoder, name: str, module: nn.Module, output: str) -> Graph:
    free = model.recipe.geometry.is_grid
    # A model with skips is told by a further channel how strong the noise is, or what is hidden.
    channels = model.channels + (name == "whole" and model.recipe.corruption.has_condition)

    def images(count: int, rows: int, columns: int) -> tuple[int, ...]:
        size = (rows * model.multiple, columns * model.multiple) if free else model.size
        return count, channels, *size

    return Graph(name, module, "images", output, model.multiple if free else None, images, _own(model))


def _with_condition(images: Tensor, model: Autoencoder) -> Tensor:
    if not model.recipe.corruption.has_condition:
        return images
    return torch.cat([images, torch.zeros_like(images[:, :1])], 1)


def _padded(images: Tensor, model: Autoencoder) -> Tensor:
    if model.recipe.geometry.is_grid:
        return images
    height, width = _canvas(model)
    down, right = height - model.size[0], width - model.size[1]
    if not down and not right:
        return images
    return torch.nn.functional.pad(images, (0, right, 0, down), mode="replicate")


def _own(model: Autoencoder) -> tuple[int, int]:
    height, width = _canvas(model)
    return height // model.multiple, width // model.multiple


def _canvas(model: Autoencoder) -> tuple[int, int]:
    height, width = (-(-side // model.multiple) * model.multiple for side in model.size)
    return height, width
