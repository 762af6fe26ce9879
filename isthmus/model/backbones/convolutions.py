"""Two convolutions whose gradients are slow in PyTorch on a CPU, computed in another way.

Times of both directions are of one core of a processor that multiplies bfloat16, 128 images of 28×28 with 32
channels, medians (PyTorch 2.13).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_NARROW_OUTPUTS = 2  # with 3 the gain is a quarter, with 4 there is none


class TransposedConv(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` that adds its bias afterwards.

    The gradient of a bias inside takes longer than all other gradients of the layer: they take 17 ms
    together, and 6.7 ms this way (float32: 19 and 14 ms).
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert self.bias is not None
        assert output_size is None
        assert not isinstance(self.padding, str)
        y = F.conv_transpose2d(x, self.weight, None, self.stride, self.padding, self.output_padding)
        return y + self.bias.to(y.dtype).view(-1, 1, 1)


class NarrowConv(nn.Conv2d):
    """A 3×3 convolution, padded with zeros, to one or two channels: a product and nine shifts.

    Convolutions compute 16 channels at a time, however few there are. A pass and its gradients take 12 ms
    with one channel, and 4.2 ms this way (float32: 23 and 9.6 ms).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.out_channels > MAX_NARROW_OUTPUTS or x.device.type != "cpu" or torch.compiler.is_exporting():
            return super().forward(x)
        assert self.bias is not None
        count, inputs, height, width = x.shape
        taps = self.weight.permute(2, 3, 0, 1).reshape(-1, inputs)
        planes = taps @ x.permute(0, 2, 3, 1).reshape(-1, inputs).t()
        summed: Tensor = ShiftedSum.apply(  # type: ignore[no-untyped-call]
            planes.view(9, self.out_channels, count, height, width)
        )
        return summed.transpose(0, 1) + self.bias.view(-1, 1, 1)


class ShiftedSum(torch.autograd.Function):
    """`(9, …, H, W)`, the taps of a 3×3 convolution by rows → `(…, H, W)`, their sum, in float32 at least."""

    generate_vmap_rule = True

    @staticmethod
    def forward(planes: Tensor) -> Tensor:
        *others, height, width = planes.shape[1:]
        planes = planes.to(torch.promote_types(planes.dtype, torch.float32))
        total = planes.new_zeros(*others, height + 2, width + 2)
        for tap in range(9):
            down, right = divmod(tap, 3)
            total[..., 2 - down : 2 - down + height, 2 - right : 2 - right + width] += planes[tap]
        return total[..., 1:-1, 1:-1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        height, width = gradient.shape[-2:]
        padded = F.pad(gradient.to(ctx.dtype), (1, 1, 1, 1))
        return torch.stack(
            [padded[..., 2 - i : 2 - i + height, 2 - j : 2 - j + width] for i in range(3) for j in range(3)]
        )
