"""Whatever goes wrong, a user sees one line, a hint where there is one, and the exit code that fits."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isthmus
from isthmus import cli
from isthmus.__main__ import main
from isthmus.errors import CapabilityError, DataError, MissingExtraError, Stopped, UsageError
from isthmus.installation import install_command

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `isthmus doctor` raise what it is given."""
    return lambda error: arrange_failure(error, monkeypatch)


def arrange_failure(error: BaseException, patch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--debug", is_flag=True, expose_value=False)
    @click.option("--resume", is_flag=True, expose_value=False)
    def command() -> None:
        raise error

    patch.setattr(cli.isthmus, "get_command", lambda _context, _name: command)


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (DataError("no images in photos/"), 1, ["error: no images in photos/"]),
        (
            UsageError("no recipe 'cnv'", hint="isthmus recipes"),
            2,
            ["error: no recipe 'cnv'", "hint: isthmus recipes"],
        ),
        (CapabilityError("has no narrow code"), 2, ["error: has no narrow code"]),
        (
            MissingExtraError("export", "onnx"),
            1,
            ["error: export needs the extra 'onnx'", f"hint: {install_command('onnx')}"],
        ),
        (
            Stopped(40, 100, "m.resume"),
            130,
            ["stopped at step 40 of 100; state saved in m.resume", "hint: isthmus doctor --resume"],
        ),
        (KeyboardInterrupt(), 130, ["interrupted"]),
        (MemoryError(), 1, ["error: not enough memory"]),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            1,
            ["error: not enough memory"],
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            [
                "error: ZeroDivisionError: by zero (this is a bug; run again with --debug to see where)",
                "hint: isthmus doctor --debug",
            ],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException,
    code: int,
    lines: list[str],
    failing: Callable[[BaseException], None],
    capsys: Capture,
) -> None:
    failing(error)
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip().splitlines() == [f"isthmus: {lines[0]}", *lines[1:]]


def test_a_resumed_run_is_not_resumed_twice(
    failing: Callable[[BaseException], None], capsys: Capture
) -> None:
    failing(Stopped(40, 100, "m.resume"))
    assert main(["doctor", "--resume"]) == 130
    assert "hint: isthmus doctor --resume\n" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    words: list[str], failing: Callable[[BaseException], None], capsys: Capture
) -> None:
    failing(DataError("no images"))
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("isthmus: error: no images\n")


@given(st.text(max_size=60))
def test_a_message_is_one_printable_line(text: str) -> None:
    err = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(err):
        arrange_failure(DataError(text), patch)
        assert main(["doctor"]) == 1
    line = err.getvalue().removesuffix("\n")
    harmless = "\u200c\u200d\u00a0\u2007\u2009\u202f\u3000"  # joiners and spaces
    assert all(character.isprintable() or character in harmless for character in line)
    assert len(line.splitlines()) == 1
    if text.isprintable():
        assert line == f"isthmus: error: {text}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "no such command 'trian'; did you mean 'train'?"),
        (["reconstuct", "x"], "no such command 'reconstuct'; did you mean 'reconstruct'?"),
        (["--verison"], "no such option '--verison'; did you mean '--version'?"),
        (["doctor", "--jsn"], "no such option '--jsn'; did you mean '--json'?"),
        (["doctor", "--zzzzzz"], "no such option '--zzzzzz'"),
        (["recipes", "conv", "extra"], "got unexpected extra argument (extra)"),
    ],
)
def test_a_usage_error_is_one_line_with_a_suggestion(words: list[str], message: str, capsys: Capture) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == f"isthmus: error: {message}"
    assert err.splitlines()[1].startswith("hint: isthmus ")
    assert err.splitlines()[1].endswith("--help")


def test_the_hint_of_a_usage_error_can_be_run(capsys: Capture) -> None:
    main(["doctor", "--jsn"])
    hint = capsys.readouterr().err.splitlines()[1].removeprefix("hint: isthmus ")
    assert main(hint.split()) == 0
    assert "--json" in capsys.readouterr().out


def test_an_exit_code_set_by_a_command_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def command(context: click.Context) -> None:
        context.exit(3)

    monkeypatch.setattr(cli.isthmus, "get_command", lambda _context, _name: command)
    assert main(["doctor"]) == 3


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error there")
def test_a_closed_pipe_is_no_news() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "isthmus", "--help"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(isthmus.__file__).parents[1])},
        )
    finally:
        os.close(writing)
    assert ran.stderr == b""
    assert ran.returncode == 1


def test_the_resume_command_goes_on_also_where_names_stand_behind_two_dashes(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def stopped(*_words: object, **_options: object) -> None:
        raise Stopped(40, 100, "m.resume")

    monkeypatch.setattr(cli.isthmus, "main", stopped)
    assert main(["train", "-o", "m", "--", "--resume"]) == 130
    assert "hint: isthmus train -o m --resume -- --resume\n" in capsys.readouterr().err
