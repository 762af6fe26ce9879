"""`isthmus …` and `python -m isthmus …`: run a command and turn whatever goes wrong into one clear line.

Exit codes: 0 done, 1 failed, 2 usage, 3 some inputs were skipped, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches

import click

from isthmus import commands
from isthmus.commands.console import follows
from isthmus.commands.line import command_line
from isthmus.errors import IsthmusError, ProcessError, Stopped
from isthmus.threads import prepare_process

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: the words after `isthmus`; by default those this process was started with.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _print_any_file_name()
    try:
        try:
            if argv is None:
                prepare_process()
            # None, not the words: only then does click expand *.jpg where the shell does not (Windows).
            code = commands.isthmus.main(
                None if argv is None else words, prog_name="isthmus", standalone_mode=False
            )
            sys.stdout.flush()
        except Exception as error:
            if _debug(words) and not isinstance(error, click.exceptions.Abort):
                traceback.print_exc()
            return _report(error, words)
    except BrokenPipeError:
        return _hush_closed_pipe()
    except KeyboardInterrupt:
        return _say("interrupted", exit_code=_INTERRUPTED)
    return code if isinstance(code, int) else 0


def _report(error: Exception, words: Sequence[str]) -> int:
    if follows() and not isinstance(error, ProcessError):
        # Of several processes the first says what all of them find; bugs say themselves.
        match error:
            case IsthmusError() | Stopped() | click.ClickException():
                return error.exit_code
            case click.exceptions.Abort():
                return _INTERRUPTED
    match error:
        case BrokenPipeError():
            raise error
        case IsthmusError():
            return _say(f"error: {error.message}", hint=error.hint, exit_code=error.exit_code)
        case Stopped():
            # Behind "--" it would be read as a file's name.
            end = words.index("--") if "--" in words else len(words)
            again = words if "--resume" in words[:end] else [*words[:end], "--resume", *words[end:]]
            return _say(str(error), hint=command_line(again), exit_code=error.exit_code)
        case click.exceptions.Abort():
            return _say("interrupted", exit_code=_INTERRUPTED)
        case click.ClickException():
            message, hint = _usage(error)
            return _say(f"error: {message}", hint=hint, exit_code=error.exit_code)
        case MemoryError():
            return _say("error: not enough memory", exit_code=1)
        case RuntimeError() if _out_of_memory(error):
            return _say("error: not enough memory", exit_code=1)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    again = words if _debug(words) else [*words, "--debug"]
    return _say(
        f"error: {what} (this is a bug; run again with --debug to see where)",
        hint=None if _debug(words) else command_line(again),
        exit_code=1,
    )


def _out_of_memory(error: RuntimeError) -> bool:
    # torch says so in words only, where it is the CPU's memory.
    return "can't allocate memory" in str(error) or type(error).__name__ == "OutOfMemoryError"


def _usage(error: click.ClickException) -> tuple[str, str | None]:
    """click's message as one lower-case line, with a suggestion, and the help command as the hint."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"{context.command_path} --help" if context is not None else None
    if isinstance(error, click.NoSuchOption) and context is not None:
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        close = get_close_matches(error.option_name, known, n=1, cutoff=0.5)
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
    # A file name may hold a line break or a terminal's escape sequence; neither may reach the terminal.
    flat = text.replace("\r\n", " ").replace("\n", " ")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in flat
    )


def _debug(words: Sequence[str]) -> bool:
    own = words[: words.index("--")] if "--" in words else words
    return "--debug" in own


def _print_any_file_name() -> None:
    # A name that the terminal's encoding lacks shall be printed escaped, not end the run.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _hush_closed_pipe() -> int:
    # The interpreter flushes stdout once more at exit and would complain; give it somewhere to write.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = None
    return 1


if __name__ == "__main__":
    sys.exit(main())
