"""The command-line reference, written from the commands themselves:

python -m isthmus.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

import click

from isthmus.cli import COMMANDS, isthmus

_PREFACE = """\
# Command line

Written from the commands by `python -m isthmus.cli.reference > docs/reference/cli.md`; do not edit by hand.

Results go to stdout, progress and warnings to stderr. With `--json` a command prints exactly one JSON object
on stdout. Exit codes: 0 done, 1 failed, 2 usage, 3 some inputs were skipped (each is named), 130 interrupted.
"""


def reference(names: Sequence[str] | None = None) -> str:
    """The whole page in Markdown, or one with the named commands only."""
    chosen = [entry for entry in COMMANDS if names is None or entry.name in names]
    parts = [_PREFACE]
    section = ""
    for entry in chosen:
        if entry.section != section:
            section = entry.section
            parts.append(f"## {section}\n")
        parts.append(command_reference(entry.name))
    return "\n".join(parts)


def command_reference(name: str) -> str:
    """One command's part of the page: usage, what it does, its arguments and options."""
    group_context = click.Context(isthmus, info_name="isthmus")
    command = isthmus.get_command(group_context, name)
    if command is None:
        raise KeyError(name)
    context = click.Context(command, info_name=name, parent=group_context)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = [row for parameter in command.params if (row := _row(parameter, context)) is not None]
    options = ["| option | what it does |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)]
    help_text = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0].strip()
    return "\n".join([f"### {name}", "", "```text", usage, "```", "", help_text, "", *options, ""])


def _row(parameter: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    record = parameter.get_help_record(context)
    if record is None:
        return None
    left, right = (" ".join(text.split()).replace("|", "\\|") for text in record)
    return f"`{left}`", right


if __name__ == "__main__":
    # Not print: on Windows that would write another encoding and other line ends than the page has.
    sys.stdout.buffer.write(reference().encode())
