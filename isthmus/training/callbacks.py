"""Code of the user's that runs within a training: after each step, after each validation, at the end.

class Log(isthmus.Callback):
    def on_validation(self, event):
        print(event.step, event.validation)

isthmus.train("photos/", callbacks=[Log()])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from isthmus.errors import UsageError
from isthmus.training.diagnosis.finding import Finding

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder

EventName = Literal["on_step", "on_validation", "on_end"]
EVENT_NAMES: tuple[EventName, ...] = ("on_step", "on_validation", "on_end")


@dataclass(frozen=True)
class TrainingEvent:
    """What a callback is given.

    Attributes:
        step: steps taken; steps: in all, an estimate while a training in minutes runs.
        share: of the training that is done, from 0 to 1.
        model: in training, with the weights of this step (validated are their averages); at the end the
            finished model. To be read, not changed, until the end.
        losses: by name: of this step in `on_step`, their means since the last validation in
            `on_validation`, of the last validation in `on_end`. Empty in private trainings.
        validation: the last loss on held-out images; None before the first, or where none are held out.
        best_step, best: the validation whose weights are kept so far, and its loss; None before there is one.
        findings: the doctor's: those that this validation is the first to show; at the end all.
    """

    step: int
    steps: int
    share: float
    model: Autoencoder
    losses: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    validation: float | None = None
    best_step: int | None = None
    best: float | None = None
    findings: tuple[Finding, ...] = ()


class Callback:
    """Override what is wanted. An exception ends the training; `resume=True` goes on from its last state."""

    def on_step(self, event: TrainingEvent) -> None:
        """After every step. The losses are read from the device, so it waits for the step."""

    def on_validation(self, event: TrainingEvent) -> None:
        """After every validation, also where nothing is held out."""

    def on_end(self, event: TrainingEvent) -> None:
        """Once, with the trained model, after its file is written."""


def check_callbacks(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    """The callbacks, each of which has at least one of the three methods.

    Raises:
        UsageError: one has none.
    """
    for callback in callbacks:
        if not any(callable(getattr(callback, name, None)) for name in EVENT_NAMES):
            raise UsageError(
                "a callback has a method {methods} or {last_method}; {type} has none",
                id="training.callback",
                methods=", ".join(EVENT_NAMES[:-1]),
                last_method=EVENT_NAMES[-1],
                type=type(callback).__name__,
            )
    return tuple(callbacks)


def listens_to(callbacks: Sequence[Callback], name: EventName) -> bool:
    """Whether any of the callbacks does something at this event."""
    methods = [getattr(callback, name, None) for callback in callbacks]
    empty = getattr(Callback, name)
    return any(method is not None and getattr(method, "__func__", None) is not empty for method in methods)


def emit(callbacks: Sequence[Callback], name: EventName, event: TrainingEvent) -> None:
    """Call them in their order."""
    for callback in callbacks:
        method = getattr(callback, name, None)
        if method is not None:
            method(event)
