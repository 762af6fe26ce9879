"""Train a flow with the one loop: codes are its images, parts its labels, the velocity's error its term."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.generation.flow import ChannelNormal, Flow, fit_moments
from isthmus.generation.flow_network import build_velocity
from isthmus.generation.mixture import Mixture
from isthmus.images.store import ImageSet, Indices
from isthmus.images.subsets import hold_out
from isthmus.interruption import Interruption
from isthmus.model import axes
from isthmus.model.seeded import seeded
from isthmus.model.terms import mse
from isthmus.training.callbacks import Listener
from isthmus.training.network_fitting import NetworkLearner, Pass, fit_network
from isthmus.training.process_settings import training_settings

STEPS = 6000
BATCH = 512
DEFAULT_WIDTHS = {1: 512, 3: 64}  # by the code's number of axes
DEFAULT_DEPTHS = {1: 4, 3: 2}
HELD_OUT_SHARE = 0.05
ATTENTION_WIDTH, ATTENTION_DEPTH = 128, 4
UNGUIDED_SHARE = 0.1
VALIDATIONS = 20
MAX_MOMENT_SAMPLES, MAX_MOMENT_NUMBERS = 8192, 2**20  # samples to measure moments of, and numbers in them
MOMENT_STEPS = 16  # of the integration: half as many as for images, and no moment differs
MIN_MOMENT_SAMPLES, MOMENT_SAMPLES_PER_CODE = 256, 4  # the moments of few codes are known no better than that


def _velocity_pass(network: nn.Module, no_part: int | None = None) -> Pass:
    """A pass of the flow: codes are images, parts labels, the velocity on the way from noise the target.

    With `no_part` a tenth of the codes have this part instead of their own, so that the velocity without
    any is learned too (Ho and Salimans 2022).
    """

    def take(images: Tensor, labels: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        white = images if images.shape[-2:] != (1, 1) else images[:, :, 0, 0]
        noise = torch.randn(white.shape, generator=generator, device=white.device)
        time = torch.rand(len(white), generator=generator, device=white.device)
        angle = (time * (math.pi / 2)).view(-1, *(1,) * (white.ndim - 1))
        now = angle.cos() * noise + angle.sin() * white
        velocity = angle.cos() * white - angle.sin() * noise
        assert labels is not None
        if no_part is not None:
            dropped = torch.rand(len(labels), generator=generator, device=labels.device) < UNGUIDED_SHARE
            labels = labels.masked_fill(dropped, no_part)
        return network(now, time, labels), velocity

    return take


@training_settings()
def fit_flow(
    codes: Tensor,
    base: Mixture | ChannelNormal,
    *,
    labels: Indices | None = None,
    steps: int = STEPS,
    batch: int = BATCH,
    width: int | None = None,
    depth: int | None = None,
    rate: float = 1e-3,
    seed: int = 0,
    precision: str = "float32",
    attends: bool = False,
    guided: bool = False,
    listener: Listener | None = None,
    stop: Interruption | None = None,
) -> Flow:
    """A flow over codes `(N, d)` or `(N, C, h, w)` that refines `base`.

    Each code belongs to one part of the base, drawn by its responsibility once; a twentieth of the codes is
    held out, and the averaged weights that foretell those best are kept.

    Args:
        base: fitted to the same codes.
        labels: `(N,)` where the base has classes.
        attends: of grids of one size: the network attends to all positions.
        guided: the network is also trained without its part, so that the part can be pronounced.
        stop: ends the training at Ctrl-C; the flow is the one until then.
    """
    generator = torch.Generator().manual_seed(seed)
    marks = None if labels is None else torch.from_numpy(labels)
    if isinstance(base, Mixture):
        parts = torch.cat(
            [
                base.sample_parts(part, None if marks is None else marks[start : start + 8192], generator)
                for start, part in zip(range(0, len(codes), 8192), torch.split(codes, 8192), strict=True)
            ]
        )
    else:
        parts = torch.zeros(len(codes), dtype=torch.int64) if marks is None or not base.classes else marks
    white = base.to_noise(codes, parts)
    shape = tuple(white.shape[1:])
    wide = width or (ATTENTION_WIDTH if attends else DEFAULT_WIDTHS[len(shape)])
    deep = depth or (ATTENTION_DEPTH if attends else DEFAULT_DEPTHS[len(shape)])
    classes = len(base.weights)
    with seeded(seed):
        network = build_velocity(shape, classes + guided, wide, deep, attends=attends)
    images = _to_image_set(white, parts)
    train, held = hold_out(images, HELD_OUT_SHARE if len(images) >= 40 else 0.0)
    optimiser = axes.Optimiser(rate=rate, weight_decay=0.01, ema=0.999 if steps > 1500 else 0.99)
    fitted = fit_network(
        NetworkLearner(
            network, ("velocity", mse), _velocity_pass(network, classes if guided else None), optimiser
        ),
        images.subset(train),
        held_out=images.subset(held) if len(held) else None,
        steps=steps,
        batch=batch,
        validations=VALIDATIONS,
        seed=seed,
        precision=precision,
        listener=listener,
        stop=stop,
    )
    facts: dict[str, Any] = {
        "shape": list(codes.shape[1:]),
        "width": wide,
        "depth": deep,
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "best": fitted.best_loss,
        "seconds": round(fitted.seconds, 1),
        "batch": fitted.batch,
        "seed": seed,
    }
    if guided:
        facts["unguided"] = 1
    flow = Flow(base, network, facts, kind="attention" if attends else "flow")
    return match_moments(flow, white, seed)


def match_moments(flow: Flow, white: Tensor, seed: int = 0) -> Flow:
    """The flow with samples that vary as the `white` codes do that it was trained on."""
    generator = torch.Generator().manual_seed(seed)
    enough = max(MIN_MOMENT_SAMPLES, MOMENT_SAMPLES_PER_CODE * len(white))
    count = max(2, min(MAX_MOMENT_SAMPLES, MAX_MOMENT_NUMBERS // white[0].numel(), enough))
    parts = flow.parts(count, None, generator)
    noise = torch.randn(count, *white.shape[1:], generator=generator)
    made = replace(flow, moments=None).white(noise, parts, MOMENT_STEPS)
    return replace(flow, moments=fit_moments(made, white))


def fit_channels(codes: Tensor, labels: Indices | None, classes: tuple[str, ...]) -> ChannelNormal:
    """Mean and deviation of each channel of grid codes `(N, C, h, w)`, and how often each class occurs."""
    names = classes if labels is not None and len(classes) > 1 else ()
    counts = np.bincount(labels, minlength=len(names)) if names and labels is not None else np.ones(1)
    deviation = codes.std((0, 2, 3), keepdim=True)[0].clamp_min(1e-6)
    weights = torch.from_numpy(counts / counts.sum()).float()
    return ChannelNormal(codes.mean((0, 2, 3), keepdim=True)[0], deviation, weights, names)


def _to_image_set(white: Tensor, parts: Tensor) -> ImageSet:
    grid = white if white.ndim == 4 else white[:, :, None, None]
    pixels = np.ascontiguousarray(grid.permute(0, 2, 3, 1).numpy())
    return ImageSet(pixels, tuple(map(str, range(len(pixels)))), parts.numpy(), source="codes")
