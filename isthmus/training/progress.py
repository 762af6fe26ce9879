"""What a training tells whoever listens to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from isthmus.training.diagnosis.finding import Finding


@dataclass(frozen=True)
class Progress:
    """What a listener is told, at most about twice a second and after each validation.

    `findings` are those that this validation is the first to show.
    """

    step: int
    steps: int
    images_per_second: float
    losses: dict[str, float]
    validation: float | None
    best: float | None
    findings: tuple[Finding, ...] = ()


History = Sequence[Mapping[str, float]]
Listener = Callable[[Progress], None]
