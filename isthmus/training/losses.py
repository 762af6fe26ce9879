"""The losses since the last validation, read late, and what is said when one is no longer a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.errors import IsthmusError
from isthmus.images.store import ImageSet
from isthmus.training.diagnosis.breakdown import Breakdown, broken_images, cause
from isthmus.training.players import Logged, Player


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
        where, found = steps[first] if bad else (step, losses)
        before = [parts for _, parts in steps[:first]]
        broken = broken_images(images, held_out)
        reason = cause(Breakdown(where, found, before, precision, broken), players)
        return DivergedError(
            "{finding}", id="training.diverged", hint=reason.as_hint(), finding=reason.message
        )
