"""Recipes from users: a TOML file with the keys of `settings`, one table per axis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isthmus.errors import Hint, UsageError
from isthmus.input_files import parse_toml, read_text
from isthmus.model.axes import AXES
from isthmus.model.recipe import Recipe
from isthmus.model.setting import as_text

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
