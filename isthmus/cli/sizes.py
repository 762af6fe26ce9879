"""Amounts on the command line: limits in megapixels, sizes in bytes, a part of a picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ParamSpec

import click

_Parameters = ParamSpec("_Parameters")
_REGION = re.compile(r"([1-9]\d{0,9})x([1-9]\d{0,9})\+(\d{1,10})\+(\d{1,10})")


def max_pixels_option(function: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Give a command `--max-pixels`; it receives `max_pixels` in megapixels."""
    return click.option(
        "--max-pixels",
        type=click.FloatRange(0.001, 4000),
        default=512.0,
        show_default=True,
        metavar="M",
        help="Refuse images of more than M megapixels.",
    )(function)


def as_region(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int, int, int] | None:
    """A click callback: `WIDTHxHEIGHT+LEFT+TOP` as (top, left, height, width)."""
    if value is None:
        return None
    match = _REGION.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(
            f"'{value}' is not a region: write WIDTHxHEIGHT+LEFT+TOP, for example 640x480+0+100",
            ctx=context,
            param=parameter,
        )
    width, height, left, top = (int(number) for number in match.groups())
    return top, left, height, width


def size_text(size: int) -> str:
    """A number of bytes as people say it: "512 bytes", "3.4 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if size < 1000 * factor else f"{size / factor:,.0f} {unit}"
    return f"{size} bytes"
