"""Options of commands, made from the parameters of functions."""

from __future__ import annotations

import builtins
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import click

from isthmus.api.inputs import Bands, Range, Region, Size
from isthmus.cli.line import option_name
from isthmus.cli.types import BANDS, MEGAPIXELS, RANGE, REGION, SIZE


@dataclass(frozen=True)
class Override:
    """Details of an option that are not in the signature of its function.

    Attributes:
        flags: further spellings, such as `-n`.
        metavar: the placeholder of the value in the help.
        type: a click type instead of the one for the annotation, for the whole value: it is given once.
        help: instead of the text in the function's docstring.
        required: whether it must be given.
    """

    flags: tuple[str, ...] = ()
    metavar: str | None = None
    type: click.ParamType[Any] | None = None
    help: str | None = None
    required: bool = False


# Options of these names are the same in all commands, unless a command has its own Override.
_SHARED = {
    "groups": Override(metavar="FILE|REGEX"),
    "label": Override(metavar="NAME"),
    "layer": Override(metavar="NAME"),
    "max_pixels": Override(
        type=MEGAPIXELS, metavar="M", help="Refuse images of more than M megapixels, by default 512."
    ),
    "model": Override(flags=("-m",)),
    "settings": Override(metavar="KEY=VALUE"),
}
_INPUTS = {"DataLike": "DATA", "ImageLike": "IMAGE", "ModelLike": "MODEL"}


def make_option(
    function: Callable[..., Any], parameter: inspect.Parameter, text: str, override: Override | None = None
) -> click.Option:
    """The option that sets one parameter of a function; None, which is its default here, means not given.

    Args:
        text: the parameter's text in the function's docstring.
    """
    override = override or _SHARED.get(parameter.name, Override())
    kind, multiple = _click_type(function, parameter)
    text = override.help or text
    text = text[:1].upper() + text[1:]
    spelling = option_name(parameter.name)
    default = parameter.default
    if kind is click.BOOL:
        if default is False:
            return click.Option(
                [parameter.name, spelling, *override.flags], is_flag=True, default=None, help=text
            )
        return click.Option([parameter.name, f"{spelling}/--no-{spelling[2:]}"], default=None, help=text)
    if not override.required and default not in (None, inspect.Parameter.empty, ()) and "default" not in text:
        default_text = default if isinstance(default, (str, int, float)) else ", ".join(map(str, default))
        text += (
            f"  [default: {default_text:g}]" if isinstance(default, float) else f"  [default: {default_text}]"
        )
    defaults: dict[str, Any] = {} if override.required else {"default": None}
    return click.Option(
        [parameter.name, *override.flags, spelling],
        type=override.type or kind,
        multiple=multiple and override.type is None,
        required=override.required,
        # Since click 8.3 a default of None counts as a value, also of a required option.
        **defaults,
        metavar=override.metavar or _metavar(parameter, kind),
        help=text,
    )


def make_alias(
    function: Callable[..., Any], parameter: inspect.Parameter, alias: str, override: Override
) -> click.Option:
    """A hidden option: an old spelling of that of one parameter."""
    kind, multiple = _click_type(function, parameter)
    if kind is click.BOOL:
        return click.Option([alias, alias_name(alias)], is_flag=True, default=None, hidden=True)
    return click.Option(
        [alias, alias_name(alias)],
        type=override.type or kind,
        multiple=multiple and override.type is None,
        default=None,
        hidden=True,
    )


def alias_name(alias: str) -> str:
    """The name under which click gives the value of an old spelling."""
    return "old_" + alias.strip("-").replace("-", "_")


def _metavar(parameter: inspect.Parameter, kind: click.ParamType[Any]) -> str | None:
    inputs = (word for name, word in _INPUTS.items() if name in str(parameter.annotation))
    return next(inputs, getattr(kind, "pattern", None))


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
    for kind, click_type in ((Size, SIZE), (Range, RANGE), (Bands, BANDS), (Region, REGION)):
        if any(part is not int and part in (kind, *get_args(kind)) for part in parts if get_origin(part)):
            return click_type, False
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
