"""The command-line reference, a page for each command: `python tools/command_reference.py`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

import click

from isthmus.cli import COMMANDS, isthmus

FOLDER = Path("docs/reference")
_INDEX = """\
# Command line

Written from the commands by `python tools/command_reference.py`; do not edit by hand.

Results go to stdout, progress and warnings to stderr. With `--json` a command prints exactly one JSON object
on stdout. Exit codes: 0 done, 1 failed, 2 usage, 3 some inputs were skipped (each is named), 130 interrupted.
"""


def reference_pages() -> dict[str, str]:
    """Every page in Markdown, by its path below `docs/reference`: an index, and one for each command."""
    index = [_INDEX]
    pages = {}
    for section in dict.fromkeys(entry.section for entry in COMMANDS):
        index += [f"## {section}", "", "| command | what it does |", "|---|---|"]
        for entry in COMMANDS:
            if entry.section == section:
                index.append(f"| [{entry.name}](cli/{entry.name}.md) | {entry.help} |")
                pages[f"cli/{entry.name}.md"] = command_reference(entry.name)
        index.append("")
    return {"cli.md": "\n".join(index), **pages}


def write_pages(pages: Mapping[str, str], folder: Path = FOLDER) -> None:
    """Write the pages, and remove those that their folders hold beyond them."""
    for path in {(folder / name).parent for name in pages} - {folder}:
        path.mkdir(parents=True, exist_ok=True)
        for old in path.glob("*.md"):
            if old.relative_to(folder).as_posix() not in pages:
                old.unlink()
    for name, text in pages.items():
        (folder / name).write_bytes(text.encode())  # the same line ends on Windows


def command_reference(name: str) -> str:
    """One command's page: usage, what it does, its arguments and options."""
    group_context = click.Context(isthmus, info_name="isthmus")
    command = isthmus.get_command(group_context, name)
    if command is None:
        raise KeyError(name)
    context = click.Context(command, info_name=name, parent=group_context)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = [row for parameter in command.params if (row := _row(parameter, context)) is not None]
    options = ["| option | what it does |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)]
    help_text = _in_markdown(inspect.cleandoc(command.help or "").partition("\f")[0].strip())
    return "\n".join([f"# isthmus {name}", "", "```text", usage, "```", "", help_text, "", *options, ""])


def _in_markdown(help_text: str) -> str:
    """Paragraphs as they are; those that click does not wrap, such as examples, as code."""
    parts = []
    for part in help_text.split("\n\n"):
        is_code = part.startswith("\b\n")
        code = part.removeprefix("\b\n")
        parts.append(f"```sh\n{code}\n```" if is_code else part)
    return "\n\n".join(parts)


def _row(parameter: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    record = parameter.get_help_record(context)
    if record is None:
        return None
    left, right = (" ".join(text.split()).replace("|", "\\|") for text in record)
    return f"`{left}`", right


if __name__ == "__main__":
    write_pages(reference_pages())
