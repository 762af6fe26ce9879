"""Commands made from functions of `isthmus.api`: their parameters become options, their result is shown.

    command = build_command(anomalies, arguments=("model", "data"), out=AnomalyResult, examples="…")

An option bears the parameter's name, with `-` for `_`; its type, its default and its help come from the
function's signature and docstring, so that Python and the shell cannot differ. Options that are not given are
not passed on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from isthmus.api.result import Result
from isthmus.cli.console import Console
from isthmus.cli.docstrings import parse_docstring
from isthmus.cli.output_options import output_options
from isthmus.cli.parameters import Override, alias_name, make_alias, make_option
from isthmus.cli.row_shape import make_shape_option
from isthmus.cli.use_call import UseCall

__all__ = ["Override", "build_command"]
PYTHON_ONLY = ("progress", "callbacks")  # arguments that are Python objects


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
        out: the result's class, where `-o FILE` can save it; its `formats` list the suffixes.
        out_required: `-o` must be given.
        rows: add `-n`, the number of rows of the table that are shown.
        options: details of single options that are not in the signature.
        aliases: old spelling of an option -> the parameter it sets, or `no_` and a flag that it turns off;
            not shown in the help.
        old_outputs: old spelling of an output option, which now is `-o` -> its metavar; not shown either.
        old_flags: old flags for what has become the default; not shown either.
        help: instead of the first paragraphs of the function's docstring.
        examples: command lines, one per line.
        extra: further options, which `call` takes.
        call: called with the console, the arguments and the options that were given, instead of `function`;
            None shows nothing.
        finish: called with the console, the result and the given options, after the result was shown.
    """
    signature = inspect.signature(function)
    text, helps = parse_docstring(function)
    own_options = dict(options or {})
    needed = {name for name, item in signature.parameters.items() if item.default is item.empty}
    params: list[click.Parameter] = [
        click.Argument([name], nargs=-1 if name == many else 1, required=name in needed) for name in arguments
    ]
    for name, parameter in signature.parameters.items():
        if name in arguments or name in PYTHON_ONLY or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if name == "out" and out is None and parameter.default is parameter.empty:
            own_options.setdefault("out", Override(flags=("-o",), metavar="OUT", required=True))
        params.append(make_option(function, parameter, helps.get(name, ""), own_options.get(name)))
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
    if "range" in signature.parameters:
        params.append(make_shape_option())
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
        make_option(out.save, param, save_helps.get(param.name, ""), own_options.get(param.name))
        for param in save_params
        if out is not None
    ]
    params += extra
    for alias, target in (aliases or {}).items():
        parameter = signature.parameters.get(target) or signature.parameters[target.removeprefix("no_")]
        params.append(make_alias(function, parameter, alias, own_options.get(target, Override())))
    params += [click.Option([alias, alias_name(alias)], hidden=True) for alias in old_outputs or {}]
    params += [click.Option([flag, alias_name(flag)], is_flag=True, hidden=True) for flag in old_flags]
    use_call = UseCall(
        function=function,
        arguments=tuple(arguments),
        result=out,
        out_required=out_required,
        rows=rows,
        aliases=dict(aliases or {}),
        old_outputs=tuple(old_outputs or {}),
        old_flags=tuple(old_flags),
        save_options=tuple(param.name for param in save_params),
        call=call,
        finish=finish,
    )

    @output_options
    def callback(console: Console, **values: Any) -> None:
        use_call(console, values)

    help_text = text if help is None else inspect.cleandoc(help)
    if examples:
        help_text += "\n\n\b\n" + inspect.cleandoc(examples)
    params += list(reversed(getattr(callback, "__click_params__", [])))
    return click.Command(None, callback=callback, params=params, help=help_text)


def _save_parameters(result: type[Result] | None) -> list[inspect.Parameter]:
    """The parameters of a result's `save` except the path and `force`: they are options, too."""
    if result is None:
        return []
    parameters = inspect.signature(result.save).parameters
    return [parameter for name, parameter in parameters.items() if name not in ("self", "path", "force")]
