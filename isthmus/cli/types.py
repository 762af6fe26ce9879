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


class WordsType(click.ParamType[tuple[str, ...]]):
    """Words with commas between them; for a parameter that is a sequence, instead of repeating the option."""

    name = "words"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in str(value).split(",") if word.strip())
        if not words:
            self.fail(f"'{value}' names nothing", param, ctx)
        return words


class UnitsType(click.ParamType[int | tuple[int, ...]]):
    """A number, or several with commas between them."""

    name = "units"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | tuple[int, ...]:
        text = str(value)
        try:
            if "," not in text:
                return int(text)
            return tuple(int(part) for part in text.split(",") if part.strip())
        except ValueError:
            self.fail(f"'{text}' is neither a number nor several with commas", param, ctx)


NUMBERS = NumbersType()
WORDS = WordsType()
UNITS = UnitsType()
