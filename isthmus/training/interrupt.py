"""Ctrl-C asks for a stop after the current step; a second one stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from isthmus.errors import ProcessError
from isthmus.interruption import Interruption

if TYPE_CHECKING:
    from isthmus.training.progress import Listener
    from isthmus.training.run import Run


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Yields a question, "shall I stop?", that the first SIGINT, SIGTERM or SIGHUP answers with yes.

    SIGHUP, which ends a process when its terminal is closed, stays ignored under `nohup`.

    After the first signal Python's own handlers are back: a second Ctrl-C raises KeyboardInterrupt. Outside
    the main thread, where Python allows no handlers, the answer is always no.

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
            # None: somebody outside Python had installed it, and it cannot be put back.
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


def fit_small_network(run: Run, listener: Listener | None, stop: Interruption | None) -> None:
    """Train a network that is fitted to a trained model, and put its best weights into it.

    Args:
        stop: ends the training at Ctrl-C after a step; the weights are those until then.
    """
    if stop is None:
        run.fit(listener=listener)
    else:
        with stop, stop_on_signal() as should_stop:
            if not run.fit(listener=listener, should_stop=should_stop):
                raise KeyboardInterrupt
    run.finish()
