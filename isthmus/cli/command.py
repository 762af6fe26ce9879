"""Commands made from functions of `isthmus.api`: their parameters become options, their result is shown.

    command = build_command(anomalies, arguments=("model", "data"), out=AnomalyResult, examples="…")

An option bears the parameter's name, with `-` for `_`; its type, its default and its help come from the
function's signature and docstring, so that Python and the shell cannot differ. Options that are not given are
not passed on.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

import click

from isthmus.api.inputs import Range, Region, Size
from isthmus.api.result import Result
from isthmus.cli.console import Console, speaks
from isthmus.cli.line import option_name
from isthmus.cli.show import check_outputs, show
from isthmus.cli.types import MEGAPIXELS, RANGE, REGION, SIZE
from isthmus.locks import exclusive

_OLD = "the old spelling goes with version 0.3"
PYTHON_ONLY = ("progress", "callbacks")  # arguments that are Python objects


@dataclass(frozen=True)
class Override:
    """What the signature of a function does not say about one of its options.

    Attributes:
        flags: further spellings, such as `-n`.
        metavar: what stands for the value in the help.
        type: a click type instead of the one for the annotation, for the whole value: it is given once.
        help: instead of the text in the function's docstring.
        required: whether it must be given.
    """

    flags: tuple[str, ...] = ()
    metavar: str | None = None
    type: click.ParamType[Any] | None = None
    help: str | None = None
    required: bool = False


MAX_PIXELS = Override(
    type=MEGAPIXELS, metavar="M", help="Refuse images of more than M megapixels, by default 512."
)


def build_command(
    function: Callable[..., Any],
    *,
    arguments: Sequence[str] = (),
    many: str | None = None,
    out: type[Result] | None = None,
    out_required: bool = False,
    rows: bool = False,
    options: Mapping[str, Override] | None = None,
    aliases: Mapping[str, str] | None = None,
    old_outputs: Mapping[str, str] | None = None,
    old_flags: Sequence[str] = (),
    help: str | None = None,
    examples: str = "",
    extra: Sequence[click.Option] = (),
    call: Callable[[Console, list[Any], dict[str, Any]], Result | None] | None = None,
    finish: Callable[[Console, Any, Mapping[str, Any]], None] | None = None,
) -> click.Command:
    """The command that calls a function of the api and shows its result.

    Args:
        arguments: parameters that are given by position, in this order.
        many: the one of them that takes any number of values.
        out: the result's class, where `-o FILE` can save it; its `formats` say as what.
        out_required: `-o` must be given.
        rows: add `-n`, the number of rows of the table that are shown.
        options: what the signature does not say about single options.
        aliases: old spelling of an option -> the parameter it sets, or `no_` and a flag that it turns off;
            not shown in the help.
        old_outputs: old spelling of an output option, which now is `-o` -> its metavar; not shown either.
        old_flags: old flags for what has become the default; not shown either.
        help: instead of the first paragraphs of the function's docstring.
        examples: command lines, one per line.
        extra: further options, which `call` takes.
        call: called with the console, the arguments and the options that were given, instead of `function`;
            None shows nothing.
        finish: called with the console, the result and what was given, after it was shown.
    """
    signature = inspect.signature(function)
    text, helps = parse_docstring(function)
    own = dict(options or {})
    params: list[click.Parameter] = [
        click.Argument([name], nargs=-1 if name == many else 1, required=_is_required(signature, name))
        for name in arguments
    ]
    for name, parameter in signature.parameters.items():
        if name in arguments or name in PYTHON_ONLY or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if name == "out" and out is None and parameter.default is parameter.empty:
            own.setdefault("out", Override(flags=("-o",), metavar="OUT", required=True))
        params.append(_option(function, parameter, helps.get(name, ""), own.get(name, Override())))
    if out is not None:
        kinds = ", ".join(out.formats) + (", or a folder" if out.as_folder else "")
        params.append(
            click.Option(
                ["-o", "--out", "outputs"],
                multiple=True,
                metavar="OUT" if out.as_folder else "FILE",
                required=out_required and not old_outputs,
                help=f"Save the result, as its suffix says ({kinds}); may be given several times.",
            )
        )
    if out is not None and "force" not in signature.parameters:
        params.append(click.Option(["--force"], is_flag=True, help="Overwrite an output that exists."))
    if rows:
        params.append(
            click.Option(
                ["-n", "--rows"],
                type=click.IntRange(1),
                default=10,
                show_default=True,
                help="Rows of the table that are shown.",
            )
        )
    save_params = _save_parameters(out)
    save_helps = parse_docstring(out.save)[1] if out is not None else {}
    params += [
        _option(out.save, one, save_helps.get(one.name, ""), own.get(one.name, Override()))
        for one in save_params
        if out is not None
    ]
    params += extra
    by_alias = {_dest(alias): (alias, target) for alias, target in (aliases or {}).items()}
    for alias, target in (aliases or {}).items():
        known = signature.parameters.get(target) or signature.parameters[target.removeprefix("no_")]
        params.append(_alias(function, known, alias, own.get(target, Override())))
    old = {_dest(alias): alias for alias in old_outputs or {}}
    params += [click.Option([alias, _dest(alias)], hidden=True) for alias in old_outputs or {}]
    params += [click.Option([flag, _dest(flag)], is_flag=True, hidden=True) for flag in old_flags]
    result_class = out

    @speaks
    def callback(console: Console, **values: Any) -> None:
        outputs = [*(values.pop("outputs", None) or ())]
        for name, alias in old.items():
            if (path := values.pop(name)) is not None:
                console.note(f"{alias} is now -o; {_OLD}")
                outputs.append(path)
        for flag in old_flags:
            if values.pop(_dest(flag)):
                console.note(f"{flag} is now the default; {_OLD}")
        shown_rows = values.pop("rows", None) if rows else None
        for name, (alias, target) in by_alias.items():
            if _is_given(value := values.pop(name)):
                console.note(f"{alias} is now {option_name(target)}; {_OLD}")
                if target in signature.parameters:
                    values[target] = value
                else:
                    values[target.removeprefix("no_")] = False
        force = bool(values["force"] if "force" in signature.parameters else values.pop("force", False))
        if out_required and not outputs:
            raise click.UsageError("missing option -o FILE", ctx=click.get_current_context())
        chosen = {one.name: values.pop(one.name) for one in save_params}
        save_options = {name: value for name, value in chosen.items() if _is_given(value)}
        if result_class is not None:
            check_outputs(result_class, outputs, force=force, save_options=save_options)
        positional = [values.pop(name) for name in arguments]
        while positional and positional[-1] is None:
            positional.pop()
        given = {name: value for name, value in values.items() if _is_given(value)}
        if "progress" in signature.parameters:
            given["progress"] = console
        with contextlib.ExitStack() as locks:
            for path in outputs:
                locks.enter_context(exclusive(path))
            everything = {**dict(zip(arguments, positional, strict=False)), **given}
            result = function(*positional, **given) if call is None else call(console, positional, given)
            if result is None:
                return
            show(
                console,
                result,
                outputs,
                force=force,
                rows=shown_rows,
                save_options=save_options,
                finish=None if finish is None else partial(finish, console, result, everything),
            )

    shown = text if help is None else inspect.cleandoc(help)
    if examples:
        shown += "\n\n\b\n" + inspect.cleandoc(examples)
    params += list(reversed(getattr(callback, "__click_params__", [])))
    return click.Command(None, callback=callback, params=params, help=shown)


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The paragraphs before `Args:` and the text of each argument."""
    text = inspect.getdoc(function) or ""
    head, _, rest = text.partition("\nArgs:\n")
    head = head.partition("\nRaises:\n")[0].partition("\nExamples:\n")[0].partition("\nReturns:\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        begin = re.match(r"    ([a-z_]+): (.*)", line)
        if begin:
            name = begin[1]
            found[name] = begin[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return head.strip(), found


def _save_parameters(result: type[Result] | None) -> list[inspect.Parameter]:
    """What `save` of a result takes besides the path and `force`: these are options, too."""
    if result is None:
        return []
    parameters = inspect.signature(result.save).parameters
    return [one for name, one in parameters.items() if name not in ("self", "path", "force")]


def _is_given(value: object) -> bool:
    """Whether an option was given: flags that were not are None, as all others."""
    return value is not None and value != ()


def _is_required(signature: inspect.Signature, name: str) -> bool:
    return signature.parameters[name].default is inspect.Parameter.empty


def _option(
    function: Callable[..., Any], parameter: inspect.Parameter, text: str, own: Override
) -> click.Option:
    kind, multiple = _click_type(function, parameter)
    text = own.help or text
    text = text[:1].upper() + text[1:]
    spelling = option_name(parameter.name)
    default = parameter.default
    if kind is click.BOOL:
        if default is False:
            return click.Option([parameter.name, spelling, *own.flags], is_flag=True, default=None, help=text)
        return click.Option([parameter.name, f"{spelling}/--no-{spelling[2:]}"], default=None, help=text)
    if not own.required and default not in (None, inspect.Parameter.empty, ()) and "default" not in text:
        shown = default if isinstance(default, (str, int, float)) else ", ".join(map(str, default))
        text += f"  [default: {shown:g}]" if isinstance(default, float) else f"  [default: {shown}]"
    return click.Option(
        [parameter.name, *own.flags, spelling],
        type=own.type or kind,
        multiple=multiple and own.type is None,
        default=None,
        required=own.required,
        metavar=own.metavar or _metavar(kind),
        help=text,
    )


def _alias(
    function: Callable[..., Any], parameter: inspect.Parameter, alias: str, own: Override
) -> click.Option:
    kind, multiple = _click_type(function, parameter)
    if kind is click.BOOL:
        return click.Option([alias, _dest(alias)], is_flag=True, default=None, hidden=True)
    return click.Option(
        [alias, _dest(alias)],
        type=own.type or kind,
        multiple=multiple and own.type is None,
        default=None,
        hidden=True,
    )


def _dest(alias: str) -> str:
    return "old_" + alias.strip("-").replace("-", "_")


def _metavar(kind: click.ParamType[Any]) -> str | None:
    return getattr(kind, "pattern", None)


class _Names(dict[str, Any]):
    """Names of a module; what it imports for type checking only is text on the command line."""

    def __missing__(self, name: str) -> object:
        return getattr(builtins, name, str)


def _click_type(
    function: Callable[..., Any], parameter: inspect.Parameter
) -> tuple[click.ParamType[Any], bool]:
    """The type of an option for one parameter, and whether it may be given several times."""
    module = sys.modules[function.__module__]
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = eval(annotation, {}, _Names(vars(module)))  # our own signatures
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    parts = tuple(part for part in parts if part is not type(None))
    for kind, known in ((Size, SIZE), (Range, RANGE), (Region, REGION)):
        if any(part is not int and part in (kind, *get_args(kind)) for part in parts if get_origin(part)):
            return known, False
    for part in parts:
        origin = get_origin(part)
        if part is bool:
            return click.BOOL, False
        if origin is Literal:
            return click.Choice([str(value) for value in get_args(part)]), False
        if origin is not None and issubclass(origin, Sequence):
            inner = get_args(part)[0]
            return (click.FLOAT if inner is float else click.STRING), True
    if int in parts and float not in parts:
        return click.INT, False
    if float in parts:
        return click.FLOAT, False
    return click.STRING, False
