"""Progress is shown often enough to trust and seldom enough to read."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.cli.console import Console
from isthmus.progress import LineTask, duration, remaining

Capture = pytest.CaptureFixture[str]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_are_seconds_apart_and_the_last_word_is_never_lost(capsys: Capture) -> None:
    clock = Clock()
    with LineTask("training", 100, clock=clock) as line:
        for step in range(1, 13):
            clock.now = float(step)
            line.update(step, f"step {step}")
    lines = capsys.readouterr().err.splitlines()
    assert [text.split("  ")[1] for text in lines] == ["step 1", "step 6", "step 11", "step 12"]
    assert lines[1] == "training: 6%  step 6  1 min 34 s left"


def test_what_was_known_before_a_failure_is_shown(capsys: Capture) -> None:
    clock = Clock()
    with pytest.raises(ZeroDivisionError), LineTask("training", 4, clock=clock) as line:
        line.update(1, "step 1")
        line.update(2, "step 2")
        raise ZeroDivisionError
    assert "step 2" in capsys.readouterr().err


def test_a_job_without_a_total_shows_what_is_done(capsys: Capture) -> None:
    with LineTask("reading", 0) as line:
        line.update(7)
    assert capsys.readouterr().err == "reading: 7\n"


@given(done=st.floats(1, 99), seconds=st.floats(0, 1e5))
def test_the_time_left_is_at_the_pace_so_far(done: float, seconds: float) -> None:
    left = remaining(done, 100, seconds)
    assert left is not None
    assert (seconds + left) * done == pytest.approx(seconds * 100)


def test_what_an_earlier_run_did_does_not_count_towards_the_pace(capsys: Capture) -> None:
    clock = Clock()
    with LineTask("training", 1000, start=900, clock=clock) as line:
        clock.now = 10.0
        line.update(920)
    assert capsys.readouterr().err == "training: 92%  40 s left\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3600, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_whole_lines_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    console = Console()
    with console.progress("training", 10) as line:
        line.update(5, "epoch 1/2 [mse 0.1]")
        console.warn("[odd] name")
    console.note("afterwards")
    shown = terminal.getvalue()
    assert "50%" in shown
    assert "epoch 1/2 [mse 0.1]" in shown
    assert "isthmus: warning: [odd] name" in shown
    assert shown.endswith("afterwards\n")
