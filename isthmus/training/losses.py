"""The losses since the last validation, read late, and the report when one is NaN or infinite.

`cause` finds the likeliest reason. `evaluate_objective` computes the objective on the held-out images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import Hint, IsthmusError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet, side_range
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.players import GradientStrategy, Learner, Logged, Player, generator_for, step_seed

GROWN = 10.0  # a loss this many times its lowest was on its way to infinity
FAR = 10.0  # a learning rate this many times the usual one


@dataclass(frozen=True)
class Breakdown:
    """The facts when a loss is NaN or infinite.

    Attributes:
        step: the first step with such a loss, counted from 0; `losses`: of that step, by player and term.
        before: the losses of the steps before, oldest first, as far as they are still known.
        precision: that the networks ran in.
        broken_images: names of images with NaN or infinity among their pixels.
    """

    step: int
    losses: Mapping[str, float]
    before: Sequence[Mapping[str, float]]
    precision: str
    broken_images: Sequence[str]


def cause(broken: Breakdown, players: Sequence[Player]) -> Finding:
    """The likeliest reason, and the setting to change."""
    totals = {player.name for player in players}
    bad = [name for name, value in broken.losses.items() if not math.isfinite(value)]
    # A single term is a clearer cause than the sum.
    first = next((name for name in bad if name not in totals), bad[0])
    value = broken.losses[first]
    observation = f"the loss '{first}' became {value} at step {broken.step + 1}"
    if broken.broken_images:
        names = ", ".join(broken.broken_images[:3])
        count = len(broken.broken_images)
        text = f"{observation}: NaN or infinity among the pixels of {names}" + (
            f" and {count - 3} more" if count > 3 else ""
        )
        return Finding("not-a-number", "problem", text, Hint("leaving these images out"))
    player = _owner(first, players)
    heavy = _heavy(player, broken.losses)
    if heavy is not None:
        key, weight, name = heavy
        text = f"{observation}: the weight {weight:g} of '{name}' is too large"
        return Finding("not-a-number", "problem", text, change_setting(f"{key}=1"))
    rate, usual = player.optimiser.peak_rate, player.optimiser.usual_rate
    key = "critic.rate" if player.name == "critic" else "optimiser.rate"
    grew = _growth(first, broken) > GROWN or rate > FAR * usual
    if broken.precision == "bfloat16" and not grew:
        text = f"{observation} from one step to the next: bfloat16 is likely too coarse here"
        return Finding("not-a-number", "problem", text, Hint.add(precision="float32"))
    text = f"{observation}: the learning rate {rate:g} is likely too high"
    return Finding("not-a-number", "problem", text, change_setting(f"{key}={rate / 4:.2g}"))


def broken_images(*sets: ImageSet | None) -> list[str]:
    """Names of the images with a NaN or infinite pixel; only floats can have one."""
    return [name for images in sets if images is not None for name in _broken(images)]


def _broken(images: ImageSet) -> Iterator[str]:
    if images.dtype != np.float32:
        return
    for index in range(len(images)):
        if not np.isfinite(images.image(index)).all():
            yield images.names[index]


def _owner(name: str, players: Sequence[Player]) -> Player:
    for player in players:
        if name == player.name or any(term.name == name for term in player.objective.terms):
            return player
    return players[0]


def _heavy(player: Player, losses: Mapping[str, float]) -> tuple[str, float, str] | None:
    """`(setting, weight, term)` when all terms are numbers and only their weighted sum is not."""
    if math.isfinite(losses.get(player.name, math.nan)):
        return None
    terms = [term for term in player.objective.terms if term.name in losses]
    if not terms or not all(math.isfinite(losses[term.name]) for term in terms):
        return None
    term = max(terms, key=lambda term: abs(term.weight * losses[term.name]))
    key = "bottleneck.weight" if term.per_image else "objective.weight"
    key = {"fool_critic": "critic.weight", "features": "critic.features"}.get(term.name, key)
    return key, term.weight, term.name


def _growth(name: str, broken: Breakdown) -> float:
    finite = [losses[name] for losses in broken.before if math.isfinite(losses.get(name, math.nan))]
    return abs(finite[-1]) / max(min(map(abs, finite)), 1e-12) if finite else 1.0


class DivergedError(IsthmusError):
    """The loss is no longer a number."""


class LossRecorder:
    """Sums of losses, kept as tensors: to read a number, a step would have to wait for the device.

    Attributes:
        sums: by name, since the last validation; `summed` the steps in them.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.summed = 0.0
        self._unread: list[tuple[int, dict[str, Tensor | float]]] = []  # to find the first step with a NaN

    def add(self, step: int, logged: Logged) -> None:
        """The losses of step number `step`."""
        for parts, share in logged:
            for name, value in parts.items():
                before = self.sums.get(name, torch.zeros((), device=value.device))
                self.sums[name] = before + value * share
            self.summed += share
            self._unread.append((step, {name: _read_on_cpu(value) for name, value in parts.items()}))

    def means(self) -> dict[str, float]:
        return {name: float(value) / max(self.summed, 1e-9) for name, value in self.sums.items()}

    def restart(self) -> None:
        """After a validation."""
        self.sums, self.summed = {}, 0.0

    def are_finite(self, losses: dict[str, float]) -> bool:
        """Whether all losses are finite; if so, the record of earlier steps is dropped."""
        if not all(map(math.isfinite, losses.values())):
            return False
        self._unread.clear()
        return True

    def error(
        self,
        step: int,
        losses: dict[str, float],
        *,
        images: ImageSet,
        held_out: ImageSet | None,
        precision: str,
        players: Sequence[Player],
    ) -> DivergedError:
        """The error for `losses` that are not finite after `step`; the first such step gives its cause."""
        steps = [(step, {k: float(v) for k, v in parts.items()}) for step, parts in self._unread]
        bad = [i for i, (_, parts) in enumerate(steps) if not all(map(math.isfinite, parts.values()))]
        first = bad[0] if bad else len(steps)
        where, values = steps[first] if bad else (step, losses)
        before = [parts for _, parts in steps[:first]]
        broken = broken_images(images, held_out)
        reason = cause(Breakdown(where, values, before, precision, broken), players)
        return DivergedError(
            "{finding}", id="training.diverged", hint=reason.as_hint(), finding=reason.message
        )


def _read_on_cpu(value: Tensor) -> Tensor | float:
    """A number at once where that costs nothing, a tensor where it means to wait for the device.

    Small tensors that are kept on a CPU stand between the large blocks of their step, which no later step can
    use again: memory grew by 65 MB in 100 steps of a dense network.
    """
    return float(value) if value.device.type == "cpu" else value


PASS_PIXELS = 2**21  # pixel-channels in one pass


@torch.no_grad()
def evaluate_objective(
    learner: Learner,
    held_out: ImageSet,
    *,
    crop: tuple[int, int] | None,
    strategy: GradientStrategy,
) -> tuple[float, dict[str, float]]:
    """The first player's whole objective on the held-out images, at full weights, and its terms.

    The noise of corruptions and stochastic codes is the same at every call, so losses can be compared.
    Several processes share the passes and find the same.

    Args:
        crop: `(H, W)` cut out of the centre of every image; None takes images whole.
    """
    objective = learner.players[0].objective.validated()
    module = learner.module
    total, count, sums = 0.0, 0, {}  # type: float, int, dict[str, float]
    number, processes = strategy.part
    module.eval()
    try:
        height, width = crop or side_range(held_out)[1]
        per_pass = max(1, min(500, PASS_PIXELS // (height * width)))
        for i, batch in enumerate(iter_batches(held_out, batch=per_pass, crop=crop)):
            if i % processes != number:
                continue
            generator = generator_for(learner, step_seed(-1, i))
            labels = None if batch.labels is None else batch.labels.to(generator.device)
            trace = learner.trace(batch.images.to(generator.device), generator, labels)
            per_image, terms = objective(trace)
            total += float(per_image.sum())
            count += len(per_image)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(per_image)
    finally:
        module.train()
    if processes > 1:
        # A process without a pass has no names of terms; they are the same in every process.
        names = [term.name for term in objective.terms]
        own = [total, count, *(sums.get(n, 0.0) for n in names)]
        message = torch.tensor(own, dtype=torch.float64)
        strategy.group.sum_over_processes([message])
        total, count, *values = message.tolist()
        sums = dict(zip(names, values, strict=True))
    return total / count, {name: value / count for name, value in sums.items()}
