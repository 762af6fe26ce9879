"""The layers of a model as a table: the shape of each output, and the number of parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder

OWN = "(own)"  # the row of parameters that a part holds itself, outside its layers


@dataclass(frozen=True)
class Layer:
    """One row.

    Attributes:
        part: `encoder`, `bottleneck`, `decoder`, `critic` or `model`.
        name: of the layer within its part.
        shape: `(C,)` or `(C, H, W)` of what it gives for one image; empty where it gave no tensor.
        parameters: numbers that training may move; shared ones count where they appear first.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class LayerTable:
    """The layers in the order in which they stand in the model; `print` shows them."""

    rows: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The sum over the rows, which is the model's total."""
        return sum(row.parameters for row in self.rows)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        head = ("part", "name", "shape", "parameters")
        body = [
            (row.part, row.name, "×".join(map(str, row.shape)) or "-", f"{row.parameters:,}")
            for row in self.rows
        ]
        lines = [head, *body, ("total", "", "", f"{self.parameters:,}")]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in lines
        )


@contextlib.contextmanager
def watch_layers(model: Autoencoder) -> Iterator[list[Layer]]:
    """A list that is complete after the block, within which one pass runs."""
    layers = [(part, name, layer) for part, module in _parts(model) for name, layer in _layers(module)]
    shapes: dict[int, tuple[int, ...]] = {}
    handles = [
        layer.register_forward_hook(partial(_note_shape, shapes, index))
        for index, (_, _, layer) in enumerate(layers)
    ]
    rows: list[Layer] = []
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()
    counted: set[int] = set()
    for part, module in _parts(model):
        for index, (owner, name, layer) in enumerate(layers):
            if owner == part:
                rows.append(Layer(part, name, shapes.get(index, ()), _count_new(layer, counted)))
        own = _count_new(module, counted)
        if own:
            rows.append(Layer(part, OWN, (), own))
    rest = _count_new(model, counted)
    if rest:
        rows.append(Layer("model", OWN, (), rest))


@torch.no_grad()
def list_layers(model: Autoencoder) -> LayerTable:
    """The table of a model for one image of the size it was trained on."""
    was_training = model.training
    model.eval()
    try:
        with watch_layers(model) as rows:
            like = next(model.parameters())
            model(torch.zeros((1, model.channels, *model.size), device=like.device))
    finally:
        model.train(was_training)
    return LayerTable(tuple(rows))


def _parts(model: Autoencoder) -> list[tuple[str, nn.Module]]:
    return list(model.named_children())


def _layers(part: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in part.named_children():
        if isinstance(module, nn.ModuleList):
            for inner, child in module.named_children():
                yield f"{name}.{inner}", child
        else:
            yield name, module


def _note_shape(
    shapes: dict[int, tuple[int, ...]], index: int, _module: nn.Module, _inputs: object, output: object
) -> None:
    tensor = output[0] if isinstance(output, tuple) else output
    if isinstance(tensor, Tensor):
        shapes[index] = tuple(tensor.shape[1:])


def _count_new(module: nn.Module, counted: set[int]) -> int:
    new = [p for p in module.parameters() if id(p) not in counted]
    counted.update(map(id, new))
    return sum(p.numel() for p in new)
