"""What the machine could do, measured beside the contenders: `limit.py THREADS BATCH`.

Peaks are the best matrix product and the best convolution found in bfloat16 and float32. The limit of the
`conv` network is the sum over its layers of the best time of each kernel (forward, and the gradients by input
and by weights, in bfloat16, channels last), and of its memory-bound passes at the bandwidth of a copy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import time

import torch
import torch.nn.functional as F
from gate import Gate
from points import NETWORKS
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.backbones.interface import Entry
from isthmus.training.process_settings import kept_memory

LAST = torch.channels_last
backward = torch.ops.aten.convolution_backward


def best(work: Callable[[], object], tries: int = 7) -> float:
    """Least busy seconds of one call."""
    work()
    seconds = []
    for _ in range(tries):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def peaks() -> dict[str, float]:
    """Operations a second: `{"bfloat16 product": …, "bfloat16 convolution": …, …}`."""
    rates = {}
    for dtype in (torch.bfloat16, torch.float32):
        a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        x = torch.randn(32, 128, 16, 16).to(dtype).contiguous(memory_format=LAST)
        w = torch.randn(128, 128, 3, 3).to(dtype).contiguous(memory_format=LAST)
        name = str(dtype).removeprefix("torch.")
        rates[f"{name} product"] = 2 * 1024**3 / best(lambda a=a, b=b: a @ b)
        work = 2 * 9 * 128 * 128 * 256 * 32
        rates[f"{name} convolution"] = work / best(lambda x=x, w=w: F.conv2d(x, w, padding=1))
    return rates


def bandwidth(elements: int = 2**21) -> float:
    """Bytes a second, read and written, of copying a tensor of a usual size in bfloat16."""
    a = torch.randn(elements).bfloat16()
    b = torch.empty_like(a)
    return 2 * 2 * elements / best(lambda: b.copy_(a), tries=30)


def kernels(model: Autoencoder, images: Tensor) -> tuple[list[float], float]:
    """`(seconds of the kernels of each layer, bytes of the memory-bound passes)` of one step."""
    seconds: list[float] = []
    moved = 0.0

    def count_layer(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        nonlocal moved
        x = given[0]
        if isinstance(module, nn.Conv2d):
            seconds.append(_convolution(module, x, first=x.shape[1] == 12))
        elif isinstance(module, nn.Linear | Entry):
            seconds.append(_product(x, module.weight))
        elif isinstance(module, nn.ReLU):
            moved += 2 * x.numel() * (2 + 3)  # in and out; gradient, activation and gradient
        elif isinstance(module, nn.PixelShuffle):
            moved += 2 * x.numel() * (2 + 2)
        elif type(module).__name__ == "Block":
            moved += 2 * made.numel() * (3 + 3)  # the sum, and the sum of two gradients

    hooks = [module.register_forward_hook(count_layer) for module in model.modules()]
    with torch.no_grad():
        model.trace(images, torch.Generator())
    for hook in hooks:
        hook.remove()
    weights = 4 * sum(p.numel() for p in model.parameters())
    # Cast to bfloat16, gradients back from it, their length, Adam (reads 4, writes 3), the averaged weights.
    moved += weights * (1.5 + 1.5 + 1 + 7 + 3)
    moved += 4 * images.numel() * (2 + 2 + 3 + 3 + 3)  # scaled, sigmoid, squared error and their gradients
    return seconds, moved


def _convolution(layer: nn.Conv2d, like: Tensor, *, first: bool) -> float:
    x = torch.randn(like.shape).bfloat16().contiguous(memory_format=LAST)
    w = torch.randn(layer.weight.shape).bfloat16().contiguous(memory_format=LAST)
    stride, padding = list(layer.stride), [int(p) for p in layer.padding]
    y = F.conv2d(x, w, stride=stride, padding=padding)
    g = torch.randn_like(y)

    def gradient(by_input: bool, by_weight: bool) -> float:
        gradient_masks = [by_input, by_weight, by_weight]
        sizes = [len(w)]
        return best(
            lambda: backward(g, x, w, sizes, stride, padding, [1, 1], False, [0, 0], 1, gradient_masks)
        )

    forward = best(lambda: F.conv2d(x, w, stride=stride, padding=padding))
    return forward + gradient(False, True) + (0.0 if first else gradient(True, False))


def _product(like: Tensor, weight: Tensor) -> float:
    x, w = torch.randn(like.shape).bfloat16(), torch.randn(weight.shape).bfloat16()
    g = torch.randn(len(x), len(w)).bfloat16()
    return best(lambda: F.linear(x, w)) + best(lambda: g @ w) + best(lambda: g.t() @ x)


def operations(name: str) -> int:
    """Of one image in one training step: every product and convolution, forward and backward."""
    network = NETWORKS[name]
    shape = (1, 28, 28) if network.images == "gray" else (3, 32, 32)
    model = build(network.recipe, channels=shape[0], size=shape[1:])
    with FlopCounterMode(display=False) as counter:
        trace = model.trace(torch.rand(2, *shape), torch.Generator())
        (trace.output - trace.images).square().mean().backward()
    return int(counter.get_total_flops() // 2)


@kept_memory()
def main(threads: str, batch: str) -> None:
    torch.set_num_threads(int(threads))
    gate = Gate()
    gate.say({"operations": {name: operations(name) for name in NETWORKS}})
    while gate.wait() != "end":
        images = torch.rand(int(batch), 3, 32, 32).contiguous(memory_format=LAST)
        seconds, moved = kernels(build(NETWORKS["conv"].recipe, channels=3, size=(32, 32)), images)
        speed = bandwidth()
        facts = {"peaks": peaks(), "bandwidth": speed, "kernels": sum(seconds), "passes": moved / speed}
        gate.report(int(batch), **facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
