"""The losses since the last validation, read late, and what is said when one is no longer a number.

`evaluate_objective` computes the objective on the held-out images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.errors import IsthmusError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet, side_range
from isthmus.training.diagnosis.breakdown import Breakdown, broken_images, cause
from isthmus.training.players import GradientStrategy, Learner, Logged, Player, generator_for, step_seed


class DivergedError(IsthmusError):
    """The loss is no longer a number."""


class LossRecorder:
    """Sums that stay tensors: reading a number would make the step wait for it.

    Attributes:
        sums: by name, since the last validation; `summed` the steps in them.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.summed = 0.0
        self._unread: list[tuple[int, dict[str, Tensor]]] = []  # (step, losses), to find a NaN's first step

    def add(self, step: int, logged: Logged) -> None:
        """The losses of step number `step`."""
        for parts, share in logged:
            for name, value in parts.items():
                before = self.sums.get(name, torch.zeros((), device=value.device))
                self.sums[name] = before + value * share
            self.summed += share
            self._unread.append((step, parts))

    def means(self) -> dict[str, float]:
        return {name: float(value) / max(self.summed, 1e-9) for name, value in self.sums.items()}

    def restart(self) -> None:
        """After a validation."""
        self.sums, self.summed = {}, 0.0

    def are_finite(self, losses: dict[str, float]) -> bool:
        """Whether all are; then nobody will ask any more where one began not to be."""
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
        """Why `losses`, found after `step`, are not finite, judged by the first step where one was not."""
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
        # A process that had no pass knows no names; the objective's are the same everywhere.
        names = [term.name for term in objective.terms]
        own = [total, count, *(sums.get(n, 0.0) for n in names)]
        message = torch.tensor(own, dtype=torch.float64)
        strategy.group.sum_over_processes([message])
        total, count, *values = message.tolist()
        sums = dict(zip(names, values, strict=True))
    return total / count, {name: value / count for name, value in sums.items()}
