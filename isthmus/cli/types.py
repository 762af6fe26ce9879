"""Kinds of values that options take."""

from __future__ import annotations

import re

import click


class SizeType(click.ParamType[tuple[int, int]]):
    """`HxW`, or one number for a square, as (height, width)."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return int(value[0]), int(value[1])
        match = re.fullmatch(r"([1-9]\d{0,5})(?:[x×,]([1-9]\d{0,5}))?", str(value).strip())
        if match is None:
            self.fail(
                f"'{value}' is not a size: write 64 for a square, or 48x64 for height and width", param, ctx
            )
        return int(match[1]), int(match[2] or match[1])


SIZE = SizeType()
