"""What a training tells whoever listens to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from isthmus.training.diagnosis.finding import Finding


@dataclass(frozen=True)
class Progress:
    """What a listener is told, at most about twice a second and after each validation.

    Attributes:
        step, steps: taken, and planned so far: a training in minutes plans anew after each validation.
        share: of the training that is done, from 0 to 1.
        findings: those that this validation is the first to show.
    """

    step: int
    steps: int
    images_per_second: float
    losses: dict[str, float]
    validation: float | None
    best: float | None
    findings: tuple[Finding, ...] = ()
    share: float = 0.0


History = Sequence[Mapping[str, float]]
Listener = Callable[[Progress], None]
