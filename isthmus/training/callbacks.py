"""The user's own code within a training: called after each step, after each validation and at the end.

class Log(isthmus.Callback):
    def on_validation(self, event):
        print(event.step, event.validation)

isthmus.train("photos/", callbacks=[Log()])

Also `Progress`, which listeners receive, and `stop_on_signal`, which ends a training after the current step.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Literal

from isthmus.errors import ProcessError, UsageError
from isthmus.training.diagnosis.finding import Finding

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder


@dataclass(frozen=True)
class Progress:
    """The progress that a listener receives, at most about twice a second and after each validation.

    Attributes:
        step, steps: taken, and planned so far: a training in minutes is planned again after each validation.
        share: of the training that is done, from 0 to 1.
        findings: those that are new at this validation.
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
        findings: of the training doctor: those that are new at this validation; at the end all.
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
    """Override the methods that you need. An exception ends the training; `resume=True` goes on from its last
    state.
    """

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
                "a callback needs a method {methods} or {last_method}; {type} has none",
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


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns True after the first SIGINT, SIGTERM or SIGHUP.

    SIGHUP, which ends a process when its terminal is closed, stays ignored under `nohup`.

    After the first signal Python's own handlers are back: a second Ctrl-C raises KeyboardInterrupt. Outside
    the main thread, where Python allows no handlers, it always returns False.

    Once a ProcessError has left the block, SIGTERM is ignored: torchrun sends it to all other processes when
    one is lost, and the one that reports the loss must live until its report is written.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        former[hang_up] = signal.getsignal(hang_up)

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        put_back()

    def put_back() -> None:
        for number, handler in former.items():
            # None: it was not installed from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in former:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    except ProcessError:
        former[signal.SIGTERM] = signal.SIG_IGN
        raise
    finally:
        put_back()
