"""Every command of the table can be loaded, explains itself and stands in docs/reference/cli.md."""

from pathlib import Path

import click
import pytest

from isthmus.cli import COMMANDS, isthmus
from isthmus.cli.reference import command_reference, reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
NAMES = [entry.name for entry in COMMANDS]


def load(name: str) -> click.Command:
    command = isthmus.get_command(click.Context(isthmus), name)
    assert command is not None
    return command


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_line_of_help_fits_a_terminal() -> None:
    assert [entry.name for entry in COMMANDS if len(entry.name) + len(entry.help) > 72] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_command_explains_itself(name: str) -> None:
    command = load(name)
    assert command.help
    silent = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    ]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_the_command_speaks_json(name: str) -> None:
    options = [word for parameter in load(name).params for word in parameter.opts]
    assert {"--json", "--quiet", "--debug"} <= set(options)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_documented(name: str) -> None:
    assert command_reference(name) in PAGE.read_text("utf-8"), (
        "run: python -m isthmus.cli.reference > docs/reference/cli.md"
    )


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "run: python -m isthmus.cli.reference > docs/reference/cli.md"
    )
