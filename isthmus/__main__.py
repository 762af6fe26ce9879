"""`isthmus …` and `python -m isthmus …`: run a command and turn any error into one clear line.

Exit codes: 0 done, 1 failed, 2 usage, 3 some inputs were skipped, 130 interrupted. SIGTERM and SIGHUP are
taken as Ctrl-C: what is done is kept (`isthmus.interruption`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import FrameType

import click

from isthmus import cli
from isthmus.cli.collection import spare_imported_objects
from isthmus.cli.console import is_worker_rank
from isthmus.cli.line import command_line, exchange_words, format_hint, replace_option, replace_path
from isthmus.cli.streams import Streams, tolerant_streams
from isthmus.errors import EMPTY_FOLDER_IDS, IsthmusError, ProcessError, Stopped
from isthmus.escaping import for_terminal, for_terminal_lines
from isthmus.threads import prepare_process

_FAILED = 1
_INTERRUPTED = 130
# Settings of a recipe that other tools have as options.
_SETTINGS = {
    "--lambda": "bottleneck.weight",
    "--beta": "bottleneck.weight",
    "--lr": "optimiser.rate",
    "--learning-rate": "optimiser.rate",
    "--batch": "optimiser.batch",
    "--batch-size": "optimiser.batch",
    "--optimizer": "optimiser.name",
    "--width": "backbone.width",
}
_TRAINING_COMMANDS = frozenset(("train", "tune", "compare", "demo"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the words after `isthmus`; by default those this process was started with.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # the process is this command alone
        spare_imported_objects()
    with tolerant_streams() as streams, _signals_as_ctrl_c():
        return _run(words, streams, expand=argv is None)


def _run(words: list[str], streams: Streams, *, expand: bool) -> int:
    try:
        try:
            if expand:
                prepare_process(training=next(iter(words), "") in _TRAINING_COMMANDS)
            # None, not the words: only then does click expand *.jpg where the shell does not (Windows).
            code = cli.isthmus.main(None if expand else words, prog_name="isthmus", standalone_mode=False)
            sys.stdout.flush()
        except Exception as error:
            if _debug(words) and not isinstance(error, click.exceptions.Abort):
                print(for_terminal_lines(traceback.format_exc()), file=sys.stderr, end="", flush=True)
            return _report(error, words)
    except BrokenPipeError:
        return _FAILED
    except KeyboardInterrupt as stop:
        return _say_interrupted(stop)
    lost = streams.output_error
    if lost is None:
        return code if isinstance(code, int) else 0
    if isinstance(lost, BrokenPipeError):
        return _FAILED  # the reader of the output has ended: nothing to report
    return _say(f"error: cannot write to standard output: {lost.strerror}", exit_code=_FAILED)


def _report(error: Exception, words: Sequence[str]) -> int:
    if is_worker_rank() and not isinstance(error, ProcessError):
        # Of several processes only the first reports a common error; each reports its own bugs.
        match error:
            case IsthmusError() | Stopped() | click.ClickException():
                return error.exit_code
            case click.exceptions.Abort():
                return _INTERRUPTED
    match error:
        case click.exceptions.Abort() if isinstance(error.__cause__, EOFError):
            # click takes an EOFError for Ctrl-D, but no command asks for input.
            return _report(error.__cause__, words)
        case BrokenPipeError():
            raise error
        case IsthmusError():
            hint = None if error.hint is None else format_hint(error.hint)
            # The whole line, with options that only the shell has.
            if error.id == "call.exchanged-arguments":
                hint = command_line(exchange_words(words, error.fields["model"], error.fields["images"]))
            elif error.id in EMPTY_FOLDER_IDS and error.fields["expected"] in (hint or ""):
                folder, expected = error.fields["folder"], error.fields["expected"]
                hint = command_line(replace_path(words, folder, expected))
            return _say(f"error: {error.message}", hint=hint, exit_code=error.exit_code)
        case Stopped():
            # Behind "--" it would be read as a file's name.
            end = words.index("--") if "--" in words else len(words)
            command = words if "--resume" in words[:end] else [*words[:end], "--resume", *words[end:]]
            return _say(str(error), hint=command_line(command), exit_code=error.exit_code)
        case click.exceptions.Abort():
            return _say_interrupted(error.__cause__)
        case click.ClickException():
            message, hint = _usage(error, words)
            return _say(f"error: {message}", hint=hint, exit_code=error.exit_code)
        case OSError() if error.errno is not None:
            return _say(f"error: {_os_error(error)}", exit_code=_FAILED)
        case UnicodeEncodeError() if error.encoding.lower() == sys.getfilesystemencoding().lower():
            return _say(
                f"error: {error.object!r} cannot be a file's name here: names are {error.encoding}",
                exit_code=_FAILED,
            )
        case MemoryError():
            return _say("error: not enough memory", exit_code=_FAILED)
        case RuntimeError() if _out_of_memory(error):
            return _say("error: not enough memory", exit_code=_FAILED)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    command = words if _debug(words) else [*words, "--debug"]
    return _say(
        f"error: {what} (this is a bug; run again with --debug to see where)",
        hint=None if _debug(words) else command_line(command),
        exit_code=_FAILED,
    )


def _say_interrupted(stop: BaseException | None) -> int:
    """Print how far the work was, if the use reported it."""
    return _say(str(stop or "") or "interrupted", exit_code=_INTERRUPTED)


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt, unless they have handlers already."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    # An ignored SIGHUP stays ignored: that is what nohup is for.
    handled = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in handled:
            if signal.getsignal(number) is interrupt:  # a training whose processes are lost ignores SIGTERM
                signal.signal(number, signal.SIG_DFL)


def _os_error(error: OSError) -> str:
    """The system's own message, after the path that it is about."""
    paths = [
        os.fsdecode(path) for path in (error.filename, error.filename2) if isinstance(path, (str, bytes))
    ]
    return ": ".join([" and ".join(dict.fromkeys(paths)), error.strerror or str(error)]).removeprefix(": ")


def _out_of_memory(error: RuntimeError) -> bool:
    # for the CPU's memory torch raises no class of its own, only this text.
    return "can't allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError"


def _usage(error: click.ClickException, words: Sequence[str]) -> tuple[str, str | None]:
    """click's message as one lower-case line, with a suggestion, and the help command as the hint."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"{context.command_path} --help" if context is not None else None
    if isinstance(error, click.NoSuchOption) and error.option_name in _SETTINGS and context is not None:
        if any("--set" in parameter.opts for parameter in context.command.params):
            hint = command_line(replace_option(words, error.option_name, _SETTINGS[error.option_name]))
        return f"no such option '{error.option_name}'", hint
    if isinstance(error, click.NoSuchOption) and context is not None:
        options = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        close = get_close_matches(error.option_name, options, n=1, cutoff=0.5)
        return f"no such option '{error.option_name}'" + (
            f"; did you mean '{close[0]}'?" if close else ""
        ), hint
    message = " ".join(error.format_message().split()).rstrip(".")
    return message[:1].lower() + message[1:], hint


def _say(text: str, *, exit_code: int, hint: str | None = None) -> int:
    lines = [f"isthmus: {_one_line(text)}", *([f"hint: {_one_line(hint)}"] if hint else [])]
    print("\n".join(lines), file=sys.stderr, flush=True)
    return exit_code


def _one_line(text: str) -> str:
    # A library's message may have several lines; a file's name may hold anything.
    return for_terminal(text.replace("\r\n", " ").replace("\n", " "))


def _debug(words: Sequence[str]) -> bool:
    words_before_separator = words[: words.index("--")] if "--" in words else words
    return "--debug" in words_before_separator


if __name__ == "__main__":
    sys.exit(main())
