"""A recipe: one point of the product space, as a frozen value, with its plain data and its TOML file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.errors import Hint, UsageError, nearest
from isthmus.input_files import parse_toml, read_text
from isthmus.model import axes
from isthmus.model.axes import AXES
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Settings, as_text, from_text
from isthmus.model.stored_names import current_recipe


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained and how. `code` is `64`, `32@8`, or `auto` (chosen from the data).

    Raises:
        UsageError: an unknown name, key or value; the message names the nearest known one.
    """

    name: str = "custom"
    code: str = "auto"
    backbone: axes.Backbone = field(default_factory=axes.Conv)
    positions: axes.Positions = field(default_factory=axes.NoPositions)
    corruption: axes.Corruption = field(default_factory=axes.NoCorruption)
    bottleneck: axes.Bottleneck = field(default_factory=axes.Plain)
    critic: axes.Critic = field(default_factory=axes.NoCritic)
    objective: axes.Objective = field(default_factory=axes.Objective)
    optimiser: axes.Optimiser = field(default_factory=axes.Optimiser)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", str(self.code))  # 64 is as good as "64"
        if self.code != "auto":
            Geometry.parse(self.code)

    @property
    def geometry(self) -> Geometry:
        """The code's shape; only once it is no longer `auto`."""
        return Geometry.parse(self.code)

    @property
    def usual_minutes(self) -> float | None:
        """Length of a training of which none is given; None where `optimiser.epochs` gives it."""
        return self.backbone.usual_minutes if self.optimiser.epochs is None else None

    @property
    def points(self) -> tuple[axes.Point, ...]:
        """The points of the product space that it joins: every axis that networks are built for."""
        return self.backbone, self.positions, self.corruption, self.bottleneck, self.critic

    def with_settings(self, settings: Iterable[str] | Mapping[str, Any]) -> Recipe:
        """Apply `KEY=VALUE` settings in order, for example `bottleneck.weight=1e-3` or `backbone.kind=dense`.

        Choosing a `kind` brings that point's own defaults, so kinds are applied before the rest. A bare axis
        name is short for its kind: `critic=on-codes`.
        """
        pairs: list[tuple[str, Any]]
        if isinstance(settings, Mapping):
            pairs = list(settings.items())
        else:
            pairs = [_split(item) for item in ([settings] if isinstance(settings, str) else settings)]
        pairs = [(f"{k}.kind" if k in axes.AXES and len(axes.AXES[k]) > 1 else k, v) for k, v in pairs]
        pairs.sort(key=lambda pair: not pair[0].endswith(".kind"))
        recipe = self
        for key, value in pairs:
            recipe = recipe._with(key, value)
        return recipe

    def _with(self, key: str, value: Any) -> Recipe:
        if key == "code":
            return dataclasses.replace(self, code=str(value))
        axis, _, name = key.partition(".")
        if axis not in axes.AXES or not name:
            raise UsageError(
                "unknown setting '{key}'{suggestion}",
                id="recipe.unknown-setting",
                key=key,
                suggestion=nearest(key, self.keys()),
            )
        current: Settings = getattr(self, axis)
        if name == "kind" and len(axes.AXES[axis]) > 1:
            return self._with_point(axis, _point(axis, str(value))())
        keys = [f.name for f in dataclasses.fields(current)]
        if name not in keys:
            raise UsageError(
                "{axis} '{kind}' has no setting '{name}'{suggestion}",
                id="recipe.setting-of-kind",
                axis=axis,
                kind=current.kind or axis,
                name=name,
                suggestion=nearest(name, keys),
            )
        return self._with_point(axis, current.replace(name, value))

    def _with_point(self, axis: str, point: Settings) -> Recipe:
        change: dict[str, Any] = {axis: point}
        return dataclasses.replace(self, **change)

    def keys(self) -> list[str]:
        """Every dotted key of this recipe's settings."""
        keys = ["code"]
        for axis, points in axes.AXES.items():
            if len(points) > 1:
                keys.append(f"{axis}.kind")
            keys += [f"{axis}.{f.name}" for f in dataclasses.fields(getattr(self, axis))]
        return keys

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "code": self.code} | {
            axis: getattr(self, axis).to_dict() for axis in axes.AXES
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`; also what a TOML file of the same keys holds."""
        try:
            data = current_recipe(data)
        except ValueError as error:
            raise UsageError("recipe: {reason}", id="recipe.problem", reason=error) from None
        unknown = [k for k in data if k not in ("name", "code", *axes.AXES)]
        if unknown:
            raise UsageError(
                "unknown recipe key '{name}'{suggestion}",
                id="recipe.unknown-key",
                name=unknown[0],
                suggestion=nearest(unknown[0], ["name", "code", *axes.AXES]),
            )
        parts: dict[str, Any] = {}
        for axis, points in axes.AXES.items():
            if axis not in data:
                continue
            values = _table(data[axis], axis)
            kind = values.pop("kind", None)
            point = _point(axis, str(kind)) if len(points) > 1 and kind else type(getattr(cls(), axis))
            keys = [f.name for f in dataclasses.fields(point)]
            wrong = [k for k in values if k not in keys]
            if wrong:
                raise UsageError(
                    "unknown setting '{axis}.{name}'{suggestion}",
                    id="recipe.unknown-setting-of-axis",
                    axis=axis,
                    name=wrong[0],
                    suggestion=nearest(wrong[0], keys),
                )
            parts[axis] = point(**{k: _plain(v, point, k) for k, v in values.items()})
        return cls(name=str(data.get("name", "custom")), code=str(data.get("code", "auto")), **parts)

    def describe(self) -> list[tuple[str, str, str]]:
        """Rows `(key, value, what it does)` for people."""
        rows = [("code", self.code, "a vector such as 64, a grid such as 32@8, or auto")]
        for axis, points in axes.AXES.items():
            point: Settings = getattr(self, axis)
            if len(points) > 1:
                rows.append((f"{axis}.kind", point.kind, "one of " + ", ".join(p.kind for p in points)))
            rows += [
                (f"{axis}.{f.name}", as_text(getattr(point, f.name)), f.metadata["text"])
                for f in dataclasses.fields(point)
            ]
        return rows


def _table(value: Any, axis: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"kind": value}
    if not isinstance(value, Mapping):
        raise UsageError(
            "recipe key '{axis}' holds {value!r}: expected a kind, or a table of its settings",
            id="recipe.axis-value",
            axis=axis,
            value=value,
        )
    return dict(value)


def _split(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals:
        raise UsageError(
            "setting '{item}' has no '='; write KEY=VALUE, for example bottleneck.weight=1e-3",
            id="recipe.setting-without-value",
            item=item,
        )
    return key.strip(), value.strip()


def _point(axis: str, kind: str) -> type[Settings]:
    points = {p.kind: p for p in axes.AXES[axis]}
    if kind not in points:
        raise UsageError(
            "{axis} '{kind}' is not known{suggestion}",
            id="recipe.unknown-kind",
            axis=axis,
            kind=kind,
            suggestion=nearest(kind, list(points)),
        )
    return points[kind]


def _plain(value: Any, point: type[Settings], key: str) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str):
        return from_text(value, point._type(key), key)
    return value


MAX_RECIPE_BYTES = 2**20


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a TOML file. Keys that are not there keep their axis point's default.

    Raises:
        UsageError: unreadable, not TOML, or with an unknown key or value; the message names the nearest.
    """
    file = Path(path)
    try:
        text = read_text(file, limit=MAX_RECIPE_BYTES)
    except FileNotFoundError:
        raise UsageError(
            "there is no recipe file {file}",
            id="recipe.no-file",
            hint=Hint.call("describe_recipe", "conv"),
            file=file,
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            "{file} cannot be read as a recipe: {reason}", id="recipe.file-unreadable", file=file, reason=why
        ) from None
    try:
        data = parse_toml(text)
    except ValueError as error:
        raise UsageError(
            "{file} is not valid TOML: {reason}", id="recipe.not-toml", file=file, reason=error
        ) from None
    try:
        return Recipe.from_dict({"name": file.stem, **data})
    except UsageError as error:
        raise UsageError(
            "{file}: {reason}", id="recipe.file-problem", hint=error.hint, file=file, reason=error.message
        ) from None


def write_recipe(recipe: Recipe) -> str:
    """A recipe as TOML: every key, its value, and as a comment what it does; `read_recipe` is the inverse."""
    texts = {key: text for key, _, text in recipe.describe()}
    lines = [f'name = "{recipe.name}"', f'code = "{recipe.code}"  # {texts["code"]}']
    for axis in AXES:
        lines += ["", f"[{axis}]"]
        for key, value in getattr(recipe, axis).to_dict().items():
            lines.append(f"{key} = {_toml(value)}  # {texts[f'{axis}.{key}']}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return as_text(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return f'"{as_text(value)}"'
