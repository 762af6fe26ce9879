"""`--shape 28x28`: images that are rows of numbers; what Python writes as `FILE.npy:28x28`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

_ARRAYS = re.compile(r"\.np[yz](:\w+)?$", re.IGNORECASE)  # also FILE.npz:test


class RowShapeType(click.ParamType[str]):
    """`HxW` or `HxWxC`, as it stands behind a file's name."""

    name = "shape"
    pattern = "HxW"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}(?:x[1-9]\d{0,2})?", str(value)) is None:
            self.fail(f"'{value}' is not a shape: write 28x28 for gray images, 32x32x3 for RGB", param, ctx)
        return str(value)


def make_shape_option() -> click.Option:
    """The option of every command that reads sets of images."""
    meaning = "Images in .npy and .npz files are rows of numbers of this shape; FILE.npy:HxW says the same."
    return click.Option(["--shape"], type=RowShapeType(), metavar="HxW", help=meaning)


def name_shape(values: Mapping[str, Any], shape: str) -> dict[str, Any]:
    """The values of a command, with the shape behind each name of a file of arrays.

    Raises:
        click.UsageError: there is no such file.
    """

    def named(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(named, value))
        is_file = isinstance(value, str) and _ARRAYS.search(value) is not None
        return f"{value}:{shape}" if is_file else value

    inputs = {name: value for name, value in values.items() if name != "out"}
    changed = {name: named(value) for name, value in inputs.items()}
    if changed == inputs:
        raise click.UsageError(
            "--shape has no effect: no .npy or .npz file is given", ctx=click.get_current_context()
        )
    return changed
