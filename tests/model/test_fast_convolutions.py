"""Convolutions computed in another way give the numbers and gradients of PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model.backbones.convolutions import NarrowConv, TransposedConv


def plain(layer: nn.Module, x: Tensor) -> Tensor:
    if isinstance(layer, TransposedConv):
        return F.conv_transpose2d(x, layer.weight, layer.bias, 2, 1, 1)
    assert isinstance(layer, NarrowConv)
    return F.conv2d(x, layer.weight, layer.bias, padding=1)


def layer_of(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "transposed":
        return TransposedConv(6, 5, 3, 2, padding=1, output_padding=1).double()
    return NarrowConv(6, {"one": 1, "two": 2, "three": 3}[kind]).double()


@pytest.mark.parametrize("kind", ["one", "two", "three", "transposed"])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (8, 8)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_outputs_and_gradients_are_those_of_pytorch(
    kind: str, size: tuple[int, int], channels_last: bool
) -> None:
    layer = layer_of(kind)
    dtype = next(layer.parameters()).dtype
    x = torch.randn(3, 6, *size, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    x.requires_grad_()
    made, right = layer(x), plain(layer, x)
    torch.testing.assert_close(made, right)
    sent = torch.randn_like(right)
    wanted = (x, *layer.parameters())
    made_gradients = torch.autograd.grad(made, wanted, sent)
    right_gradients = torch.autograd.grad(right, wanted, sent)
    torch.testing.assert_close(made_gradients, right_gradients)


def test_gradients_of_gradients_and_of_single_images() -> None:
    layer = layer_of("one")
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64, requires_grad=True)

    def roughness(values: Tensor, make: nn.Module | None) -> Tensor:
        made = plain(layer, values) if make is None else make(values)
        (gradient,) = torch.autograd.grad(made.square().sum(), values, create_graph=True)
        return gradient.square().sum()

    for parameter in layer.parameters():
        (made,) = torch.autograd.grad(roughness(x, layer), parameter)
        (right,) = torch.autograd.grad(roughness(x, None), parameter)
        torch.testing.assert_close(made, right, rtol=1e-4, atol=1e-4)

    def loss(parameters: dict[str, Tensor], image: Tensor) -> Tensor:
        made: Tensor = torch.func.functional_call(layer, parameters, (image[None],))
        return made.square().sum()

    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    by_image = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x.detach())
    for index in range(len(x)):
        alone = torch.func.grad(loss)(parameters, x.detach()[index])
        for name, gradient in alone.items():
            torch.testing.assert_close(by_image[name][index], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["one", "transposed"])
def test_in_bfloat16_the_error_is_that_of_its_numbers(kind: str) -> None:
    layer = layer_of(kind).float()
    x = torch.randn(2, 6, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x)
    assert (made.float() - plain(layer, x)).abs().max() < 0.03


def test_exports_hold_an_ordinary_convolution() -> None:
    exported = torch.export.export(layer_of("one").float().eval(), (torch.randn(1, 6, 8, 8),), strict=False)
    assert any("conv2d" in str(node.target) for node in exported.graph.nodes)
