"""How codes move from frame to frame: a small network that is told four known frames and asked for another.

It is asked for frames between known ones and after them, and answers what must be added to the straight line
(between) or to the last known code (after). It is fitted to a trained model's codes of whole sequences, by
the one loop, and kept in the model as the attachment `dynamics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.errors import CapabilityError, DataError, ModelFileError, one_line
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.model import axes
from isthmus.model.allocation import room_for
from isthmus.model.attachment_check import DAMAGE, Rule, check_state, check_tensors, whole_number
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.seeded import seeded
from isthmus.model.terms import mse
from isthmus.training.callbacks import Listener
from isthmus.training.network_fitting import NetworkLearner, Pass, fit_network
from isthmus.training.process_settings import training_settings

NAME = "dynamics"
KNOWN_FRAMES = 4  # frames the network is told
WINDOW_FRAMES = 9  # frames of one training example
STEPS = 4000
WIDTH = 512
DEPTH = 2
# (wanted, known frames from the nearest on): between, with one or two frames missing, and after.
PATTERNS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (4, (3, 5, 2, 6)),
    (4, (3, 5, 1, 7)),
    (4, (3, 6, 2, 7)),
    (4, (5, 2, 6, 1)),
    (8, (7, 6, 5, 4)),
    (8, (7, 6, 5, 4)),
)


class MotionNetwork(nn.Module):
    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(KNOWN_FRAMES * (numbers + 1), width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(DEPTH))
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(DEPTH))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(DEPTH))
        self.last = nn.Linear(width, numbers)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, codes: Tensor, times: Tensor) -> Tensor:
        """`known (N, 4, d)`, their `times (N, 4)` from the wanted frame → `(N, d)`."""
        h = self.first(torch.cat([codes.flatten(1), times / KNOWN_FRAMES], 1))
        for norm, inner, outer in zip(self.norms, self.inner, self.outer, strict=True):
            h = h + outer(F.silu(inner(norm(h))))
        result: Tensor = self.last(F.silu(h))
        return result


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Attributes:
    network, deviation `(d,)` and mean `(d,)` of codes, which it sees standardised; facts: how it was fitted.
    """

    network: MotionNetwork
    mean: Tensor
    deviation: Tensor
    facts: dict[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, codes: Tensor, times: Tensor) -> Tensor:
        """The code at time 0: `known (N, 4, d)` at `times (N, 4)`, the nearest first → `(N, d)`."""
        white = (codes - self.mean) / self.deviation
        predicted: Tensor = (
            extrapolate(white, times) + self.network(white, times)
        ) * self.deviation + self.mean
        return predicted


def extrapolate(codes: Tensor, times: Tensor) -> Tensor:
    """Without any learning: on the straight line between the two nearest, or the last one as it is."""
    first, second = times[:, :1], times[:, 1:2]
    around = first * second < 0
    share = torch.where(around, first / (first - second), torch.zeros_like(first))
    return torch.lerp(codes[:, 0], codes[:, 1], share)


def _motion_pass(network: MotionNetwork) -> Pass:
    """A pass over windows of frames: one frame of each is predicted from four others."""

    def take(
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG001
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        windows = images[..., 0].transpose(1, 2)  # (N, WINDOW_FRAMES, d)
        chosen = int(torch.randint(len(PATTERNS), (1,), generator=generator))
        at, positions = PATTERNS[chosen]
        if bool(torch.randint(2, (1,), generator=generator)) and at == WINDOW_FRAMES // 2:
            windows = windows.flip(1)  # between frames, time may run either way
        times = torch.tensor([float(t - at) for t in positions]).expand(len(windows), KNOWN_FRAMES)
        codes = windows[:, list(positions)]
        return extrapolate(codes, times) + network(codes, times), windows[:, at]

    return take


@training_settings()
def fit_dynamics(
    model: Autoencoder,
    sequences: Sequence[Tensor],
    *,
    steps: int = STEPS,
    batch: int = 256,
    width: int = WIDTH,
    seed: int = 0,
    listener: Listener | None = None,
    stop: Interruption | None = None,
) -> Dynamics:
    """Learn how the codes of sequences move, and attach it to the model.

    Args:
        sequences: codes `(T, d)` of each sequence's frames, in order, of a vector code; at least nine frames
            in one of them.
        stop: ends the training at Ctrl-C; what is learned until then is attached where nothing was before.

    Raises:
        CapabilityError: a grid code.
        DataError: no sequence is long enough.
    """
    if model.recipe.geometry.is_grid:
        raise CapabilityError(
            "motion is learned in vector codes only: frames of a grid code are filled on a straight line",
            id="frames.grid-code",
        )
    windows = [
        codes[start : start + WINDOW_FRAMES]
        for codes in sequences
        for start in range(len(codes) - WINDOW_FRAMES + 1)
    ]
    if not windows:
        raise DataError(
            "motion is learned from sequences of at least {least} frames",
            id="frames.too-short-to-learn",
            least=WINDOW_FRAMES,
        )
    stacked = torch.stack(windows)  # (N, WINDOW, d)
    mean, deviation = stacked.mean((0, 1)), stacked.std((0, 1)).clamp_min(1e-6)
    white = ((stacked - mean) / deviation)[:, :, None, :].contiguous().numpy()
    images = ImageSet(white, tuple(map(str, range(len(white)))), source="codes")
    with seeded(seed):
        network = MotionNetwork(stacked.shape[2], width)
    optimiser = axes.Optimiser(rate=1e-3, weight_decay=0.05, ema=0.998 if steps > 1500 else 0.99)
    learner = NetworkLearner(network, ("motion", mse), _motion_pass(network), optimiser)
    fitted = fit_network(learner, images, steps=steps, batch=batch, seed=seed, listener=listener, stop=stop)
    facts: dict[str, Any] = {"width": width, "steps": fitted.steps, "windows": len(windows), "seed": seed}
    facts["seconds"] = round(fitted.seconds, 1)
    dynamics = Dynamics(network, mean, deviation, facts)
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    if stop is None or not stop.happened or (fitted.steps > 0 and NAME not in model.attachments):
        attach(model, NAME, {**tensors, "mean": mean, "deviation": deviation}, facts)
    return dynamics


def read_dynamics(model: Autoencoder) -> Dynamics | None:
    """What was learned about motion, or None.

    Raises:
        ModelFileError: the attachment is damaged.
    """
    attachment = model.attachments.get(NAME)
    if attachment is None:
        return None
    try:
        return _dynamics_from_state(model, attachment.tensors, attachment.facts)
    except DAMAGE as error:
        raise ModelFileError(
            "the model's dynamics are damaged ({reason})",
            id="frames.dynamics-damaged",
            reason=one_line(error),
        ) from error


def _dynamics_from_state(
    model: Autoencoder, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> Dynamics:
    if model.recipe.geometry.is_grid:
        raise ValueError("the model has a grid code")
    mean = tensors["mean"]
    own = {k.removeprefix("network."): t for k, t in tensors.items() if k.startswith("network.")}
    rest = {k: t for k, t in tensors.items() if not k.startswith("network.")}
    rules = {"mean": Rule("d"), "deviation": Rule("d", low=1e-18)}
    check_tensors(rest, rules, d=model.recipe.geometry.channels)
    with room_for(tensors.values()):
        network = MotionNetwork(len(mean), whole_number(facts, "width", 1, 65_536))
    check_state(network, own)
    network.load_state_dict(own, assign=True)
    return Dynamics(network.eval().requires_grad_(False), mean, tensors["deviation"], dict(facts))


def choose_known_frames(times: Sequence[float], target: float) -> list[int]:
    """Which four of the known times the network is told, the nearest first, both sides where there are."""
    order = sorted(range(len(times)), key=lambda i: (abs(times[i] - target), times[i]))
    before = [i for i in order if times[i] < target]
    after = [i for i in order if times[i] > target]
    if not after or not before:
        chosen = order[:KNOWN_FRAMES]
    else:
        sides = [before[:2], after[:2]]
        sides.sort(key=lambda side: abs(times[side[0]] - target))
        chosen = [side[min(turn, len(side) - 1)] for turn in range(2) for side in sides]
    return (chosen + [chosen[-1]] * KNOWN_FRAMES)[:KNOWN_FRAMES]


def gather_known_frames(
    codes: Tensor, known_times: Sequence[float], targets: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """What the network is told for every wanted time: `(M, 4, …)` codes and `(M, 4)` times."""
    rows = [choose_known_frames(known_times, time) for time in targets]
    times = np.array([[known_times[i] - time for i in row] for row, time in zip(rows, targets, strict=True)])
    return torch.stack([codes[row] for row in rows]), torch.from_numpy(times).float()
