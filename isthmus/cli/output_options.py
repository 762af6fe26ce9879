"""The options that every command has, and what the package logs on the console."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from isthmus.cli.console import Console, is_worker_rank
from isthmus.cli.line import format_options
from isthmus.errors import Hint, UsageError, spell_hints
from isthmus.interruption import NOTE_ID
from isthmus.log import LOGGER


def output_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--json`, `--quiet` and `--debug`; it receives `console`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout and nothing else.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no notes; warnings stay.")
    @click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    @functools.wraps(function)
    def command(*args: Any, as_json: bool, quiet: bool, **options: Any) -> None:
        console = Console(json=as_json, quiet=quiet, silent=is_worker_rank())
        _note_old_name(console)
        try:
            with log_to(console), spell_hints(format_options):
                if as_json and options.get("out") == "-":
                    raise UsageError(
                        "the image and the JSON document cannot both go to standard output",
                        id="output.json-and-stream",
                        hint=Hint("leave out --json, or write to a file"),
                    )
                function(*args, console=console, **options)
        except click.exceptions.Exit:
            if not console.lost:
                raise
        for error in console.lost[:-1]:
            console.warn(error.message)
        if console.lost:
            raise console.lost[-1]
        if as_json and not console.emitted and not console.silent:
            raise RuntimeError("this command printed no JSON object")

    return command


def _note_old_name(console: Console) -> None:
    """Name the new spelling where a command was called by its old one."""
    from isthmus.cli import OLD_NAMES

    word = click.get_current_context().info_name or ""
    if word in OLD_NAMES:
        console.note(f"{word} is now {OLD_NAMES[word]}; the old spelling goes with version 0.3")


class _ConsoleHandler(logging.Handler):
    """Shows what the package logs. Skipped inputs and an interruption are named at the end instead."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        note = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if getattr(record, "isthmus_skipped", False) or getattr(note, "id", "") == NOTE_ID:
            return
        say = self._console.warn if record.levelno >= logging.WARNING else self._console.note
        say(record.getMessage())


@contextmanager
def log_to(console: Console) -> Iterator[None]:
    """Within the block what the package logs is shown on the console."""
    handler, level, propagate = _ConsoleHandler(console), LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate
