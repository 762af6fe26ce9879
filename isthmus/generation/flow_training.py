"""Train a flow with the one loop: codes are its images, parts its labels, the velocity's error its term."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.generation.flow import ChannelNormal, Flow, fit_moments
from isthmus.generation.flow_network import build_velocity
from isthmus.generation.mixture import Mixture
from isthmus.images.split import hold_out
from isthmus.images.store import ImageSet, Indices
from isthmus.interruption import Interruption
from isthmus.model import axes
from isthmus.model.objective import Objective, Term
from isthmus.model.seeded import seeded
from isthmus.model.terms import mse
from isthmus.model.trace import Corrupted, Latent, NoNetwork, Trace
from isthmus.threads import limited
from isthmus.training.allocator import kept_memory
from isthmus.training.denormals import flushed_denormals
from isthmus.training.interrupt import fit_small_network
from isthmus.training.options import Settled
from isthmus.training.player import Player
from isthmus.training.progress import Listener
from isthmus.training.run import Run

STEPS = 6000
BATCH = 512
DEFAULT_WIDTHS = {1: 512, 3: 64}  # by the code's number of axes
DEFAULT_DEPTHS = {1: 4, 3: 2}
HELD_OUT_SHARE = 0.05
VALIDATIONS = 20
MAX_MOMENT_SAMPLES, MAX_MOMENT_NUMBERS = (
    8192,
    2**20,
)  # samples, and numbers in them at most, to measure moments of


@dataclass(eq=False)
class _FlowLearner:
    module: nn.Module
    optimiser: axes.Optimiser
    precision: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        objective = Objective((Term("velocity", 1.0, mse),))
        self.players: tuple[Player, ...] = (
            Player("flow", tuple(self.module.parameters()), objective, self.optimiser),
        )

    def set_precision(self, precision: torch.dtype) -> None:
        self.precision = precision

    def trace(self, images: Tensor, generator: torch.Generator, labels: Tensor | None) -> Trace:
        white = images if images.shape[-2:] != (1, 1) else images[:, :, 0, 0]
        noise = torch.randn(white.shape, generator=generator, device=white.device)
        time = torch.rand(len(white), generator=generator, device=white.device)
        angle = (time * (math.pi / 2)).view(-1, *(1,) * (white.ndim - 1))
        now = angle.cos() * noise + angle.sin() * white
        velocity = angle.cos() * white - angle.sin() * noise
        assert labels is not None
        with torch.autocast(white.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            predicted = self.module(now, time, labels).float()
        return Trace(
            images,
            Corrupted(now, velocity),
            Latent(now),
            predicted,
            predicted,
            NoNetwork(),
            generator,
            labels,
        )


@limited()
@flushed_denormals()
@kept_memory()
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
    listener: Listener | None = None,
    stop: Interruption | None = None,
) -> Flow:
    """A flow over codes `(N, d)` or `(N, C, h, w)` that refines `base`.

    Each code belongs to one part of the base, drawn by its responsibility once; a twentieth of the codes is
    held out, and the averaged weights that foretell those best are kept.

    Args:
        base: fitted to the same codes.
        labels: `(N,)` where the base has classes.
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
    wide = width or DEFAULT_WIDTHS[len(shape)]
    deep = depth or DEFAULT_DEPTHS[len(shape)]
    with seeded(seed):
        network = build_velocity(shape, len(base.weights), wide, deep)
    images = _to_image_set(white, parts)
    train, held = hold_out(images, HELD_OUT_SHARE if len(images) >= 40 else 0.0)
    rows = (shape[1], shape[2]) if len(shape) == 3 else (1, 1)
    settled = Settled(
        size=rows, crop=False, batch=min(batch, len(train)), steps=steps,
        validate_every=max(1, steps // VALIDATIONS), precision=precision, seed=seed,
    )  # fmt: skip
    optimiser = axes.Optimiser(rate=rate, weight_decay=0.01, ema=0.999 if steps > 1500 else 0.99)
    learner = _FlowLearner(network, optimiser)
    held_out = images.subset(held) if len(held) else None
    run = Run(learner, images.subset(train), held_out, settled, patience=0, balance=False)
    fit_small_network(run, listener, stop)
    facts: dict[str, Any] = {
        "shape": list(codes.shape[1:]),
        "width": wide,
        "depth": deep,
        "steps": run.state.step,
        "best_step": run.state.best_step,
        "best": run.state.best_loss,
        "seconds": round(run.state.seconds, 1),
        "batch": settled.batch,
        "seed": seed,
    }
    return match_moments(Flow(base, network.requires_grad_(False), facts), white, seed)


def match_moments(flow: Flow, white: Tensor, seed: int = 0) -> Flow:
    """The flow with samples that vary as the `white` codes do that it was trained on."""
    generator = torch.Generator().manual_seed(seed)
    count = max(2, min(MAX_MOMENT_SAMPLES, MAX_MOMENT_NUMBERS // white[0].numel()))
    parts = flow.parts(count, None, generator)
    noise = torch.randn(count, *white.shape[1:], generator=generator)
    made = replace(flow, moments=None).white(noise, parts)
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
