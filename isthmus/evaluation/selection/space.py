"""The search space: settings with the values or ranges they may take, as a grid or at random."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.errors import Hint, UsageError
from isthmus.model.recipe import Recipe

Point = dict[str, str]


@dataclass(frozen=True)
class Axis:
    """One setting.

    Attributes:
        key: of a setting; values: texts to choose from, or empty for a range from `low` to `high`.
        is_whole: only whole numbers; logarithmic: even in the logarithm, for a range of a factor of 10.
    """

    key: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    is_whole: bool = False

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high >= 10 * self.low

    def draw(self, random: np.random.Generator) -> str:
        """One value at random."""
        if self.values:
            return self.values[int(random.integers(len(self.values)))]
        share = random.random()
        if self.logarithmic:
            return self.text(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return self.text(self.low + share * (self.high - self.low))

    def text(self, number: float) -> str:
        """A number of the range as settings read it, three digits."""
        return str(round(number)) if self.is_whole else f"{number:.3g}"


def parse_axis(text: str) -> Axis:
    """`KEY=V1,V2,…`, `KEY=V1;V2;…` where values hold commas, or `KEY=LOW..HIGH`.

    Raises:
        UsageError: of neither form.
    """
    key, equals, values = text.partition("=")
    low, dots, high = values.partition("..")
    if not equals or not values.strip():
        raise UsageError(
            "{text}: write KEY=V1,V2,… or KEY=LOW..HIGH, e.g. bottleneck.weight=0.01,0.1",
            id="tune.axis-syntax",
            text=text,
        )
    if not dots:
        options = tuple(dict.fromkeys(value.strip() for value in _parts(values)))
        return Axis(key.strip(), options)
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UsageError(
            "{text}: '{values}' is not a range of numbers", id="tune.range-numbers", text=text, values=values
        ) from None
    if not (math.isfinite(ends[0]) and ends[0] < ends[1] < math.inf):
        raise UsageError(
            "{text}: the first number of a range must be the smaller one", id="tune.range-order", text=text
        )
    is_whole = all(part.strip().lstrip("-").isdigit() for part in (low, high))
    return Axis(key.strip(), (), *ends, is_whole)


def iter_grid(axes: Sequence[Axis]) -> Iterator[Point]:
    """Every combination, in order.

    Raises:
        UsageError: an axis is a range, of which a grid cannot take every value.
    """
    for axis in axes:
        if not axis.values:
            raise UsageError(
                "{key} is a range, but a grid search needs a list of values",
                id="tune.range-in-grid",
                hint=Hint.add(search="random", trials=20),
                key=axis.key,
            )
    for values in itertools.product(*(axis.values for axis in axes)):
        yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def iter_random(axes: Sequence[Axis], count: int, seed: int) -> Iterator[Point]:
    """`count` different points; fewer where there are no more."""
    random = np.random.default_rng(seed)
    drawn: set[tuple[str, ...]] = set()
    for _ in range(100 * count):
        if len(drawn) == count:
            return
        values = tuple(axis.draw(random) for axis in axes)
        if values not in drawn:
            drawn.add(values)
            yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def apply_point(recipe: Recipe, point: Point) -> Recipe:
    """The recipe at a point; `check_axes` checks beforehand whether its keys are known."""
    return recipe.with_settings([f"{key}={value}" for key, value in point.items()])


def check_axes(recipe: Recipe, axes: Sequence[Axis]) -> None:
    """Raises:
    UsageError: no axis, one twice, or a key or value that the recipe does not have.
    """
    if not axes:
        raise UsageError(
            "nothing to tune", id="tune.nothing", hint=Hint.add(over="bottleneck.weight=0.01,0.1,1")
        )
    keys = [axis.key for axis in axes]
    if len(set(keys)) < len(keys):
        raise UsageError("{key} is given twice", id="tune.key-twice", key=max(keys, key=keys.count))
    kinds = {axis.key: axis for axis in axes if axis.key.endswith(".kind") or "." not in axis.key}
    for axis in axes:
        for value in axis.values or (axis.text(axis.low), axis.text(axis.high)):
            if not kinds:
                apply_point(recipe, {axis.key: value})
    for kind in kinds.values():
        for value in kind.values:
            apply_point(recipe, {kind.key: value})


def _parts(values: str) -> list[str]:
    # Several widths, such as 64,32, are one value: then a semicolon parts the values.
    return [part for part in values.split(";" if ";" in values else ",") if part.strip()]
