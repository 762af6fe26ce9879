"""Kinds of values that options take."""

from __future__ import annotations

import math
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


class NumbersType(click.ParamType[list[float]]):
    """One finite number, or several with commas."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        try:
            numbers = [float(word) for word in str(value).split(",")]
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            self.fail(f"'{value}': write a number, or several with commas", param, ctx)
        return numbers


class WordsType(click.ParamType[list[str]]):
    """Words with commas between them."""

    name = "words"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> list[str]:
        return [word.strip() for word in str(value).split(",") if word.strip()]


NUMBERS = NumbersType()
WORDS = WordsType()
