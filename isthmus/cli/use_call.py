"""One run of a command: options as click gives them -> one call of the api -> its result shown."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from isthmus.api.result import Result
from isthmus.cli.console import Console
from isthmus.cli.line import option_name
from isthmus.cli.parameters import alias_name
from isthmus.cli.row_shape import name_shape
from isthmus.cli.show import check_outputs, show
from isthmus.locks import exclusive

_OLD = "the old spelling goes with version 0.3"


@dataclass(frozen=True, kw_only=True)
class UseCall:
    """The action of a command; see `isthmus.cli.command.build_command` for the fields."""

    function: Callable[..., Any]
    arguments: tuple[str, ...]
    result: type[Result] | None
    out_required: bool
    rows: bool
    aliases: Mapping[str, str]
    old_outputs: tuple[str, ...]
    old_flags: tuple[str, ...]
    save_options: tuple[str, ...]
    call: Callable[[Console, list[Any], dict[str, Any]], Result | None] | None
    finish: Callable[[Console, Any, Mapping[str, Any]], None] | None

    def __call__(self, console: Console, values: dict[str, Any]) -> None:
        """Call the function with the options that were given, and show its result."""
        parameters = inspect.signature(self.function).parameters
        outputs = [*(values.pop("outputs", None) or ()), *self._old_outputs(console, values)]
        rows = values.pop("rows", None) if self.rows else None
        self._rename(console, values, parameters)
        force = bool(values["force"] if "force" in parameters else values.pop("force", False))
        if force and self.result is not None and "force" not in parameters and not outputs:
            raise click.UsageError("--force has no effect without -o", ctx=click.get_current_context())
        if self.out_required and not outputs:
            raise click.UsageError("missing option -o FILE", ctx=click.get_current_context())
        save_options = {name: value for name in self.save_options if is_given(value := values.pop(name))}
        if self.result is not None:
            check_outputs(self.result, outputs, force=force, save_options=save_options)
        if (shape := values.pop("shape", None)) is not None:
            values |= name_shape(values, shape)
        positional = [values.pop(name) for name in self.arguments]
        while positional and positional[-1] is None:
            positional.pop()
        options = {name: value for name, value in values.items() if is_given(value)}
        everything = {**dict(zip(self.arguments, positional, strict=False)), **options}
        if "progress" in parameters:
            options["progress"] = console
        with contextlib.ExitStack() as locks:
            for path in outputs:
                locks.enter_context(exclusive(path))
            if self.call is not None:
                result = self.call(console, positional, options)
            else:
                result = self.function(*positional, **options)
            if result is None:
                return
            show(
                console,
                result,
                outputs,
                force=force,
                rows=rows,
                save_options=save_options,
                finish=None if self.finish is None else partial(self.finish, console, result, everything),
            )

    def _old_outputs(self, console: Console, values: dict[str, Any]) -> list[str]:
        paths = []
        for spelling in self.old_outputs:
            if (path := values.pop(alias_name(spelling))) is not None:
                console.note(f"{spelling} is now -o; {_OLD}")
                paths.append(path)
        for flag in self.old_flags:
            if values.pop(alias_name(flag)):
                console.note(f"{flag} is now the default; {_OLD}")
        return paths

    def _rename(self, console: Console, values: dict[str, Any], parameters: Mapping[str, Any]) -> None:
        for spelling, target in self.aliases.items():
            if not is_given(value := values.pop(alias_name(spelling))):
                continue
            console.note(f"{spelling} is now {option_name(target)}; {_OLD}")
            if target in parameters:
                values[target] = value
            else:
                values[target.removeprefix("no_")] = False


def is_given(value: object) -> bool:
    """Whether an option was given: flags that were not are None, as all others."""
    return value is not None and value != ()
