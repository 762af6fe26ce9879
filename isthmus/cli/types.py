"""Kinds of values that options take."""

from __future__ import annotations

import math
import re

import click

_REGION = re.compile(r"([1-9]\d{0,9})x([1-9]\d{0,9})\+(\d{1,10})\+(\d{1,10})")


class SizeType(click.ParamType[tuple[int, int]]):
    """`HxW`, or one number for a square, as (height, width)."""

    name = "size"
    pattern = "HxW"

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


class RangeType(click.ParamType[tuple[float, float]]):
    """`LOW,HIGH`, as two numbers."""

    name = "range"
    pattern = "LOW,HIGH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return float(value[0]), float(value[1])
        try:
            low, high = map(float, str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not a range: write LOW,HIGH, for example 0,4095", param, ctx)
        return low, high


RANGE = RangeType()


class BandsType(UnitsType):
    """`R,G,B`, as channels counted from 1."""

    name, pattern = "bands", "R,G,B"


BANDS = BandsType()


class RegionType(click.ParamType[tuple[int, int, int, int]]):
    """`WIDTHxHEIGHT+LEFT+TOP`, as (top, left, height, width)."""

    name = "region"
    pattern = "WxH+X+Y"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        match = _REGION.fullmatch(str(value).strip())
        if match is None:
            self.fail(
                f"'{value}' is not a region: write WIDTHxHEIGHT+LEFT+TOP, for example 640x480+0+100",
                param,
                ctx,
            )
        width, height, left, top = (int(number) for number in match.groups())
        return top, left, height, width


REGION = RegionType()


class MegapixelsType(click.ParamType[int]):
    """A number of megapixels, as a number of pixels."""

    name = "megapixels"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return round(1e6 * click.FloatRange(0.001, 4000)(value, param=param, ctx=ctx))


MEGAPIXELS = MegapixelsType()
