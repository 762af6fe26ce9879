"""The named recipes and the models that come with the package. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from isthmus.api.result import Result, keys
from isthmus.wording import format_count


@dataclass(frozen=True)
class RecipeEntry:
    """One named recipe.

    Attributes:
        name: what `train` takes as `recipe`.
        summary: what it is, in one line.
        group: `family`, or `article` for those that repeat a publication.
        usual_minutes: length in minutes of a training where none is given; null where it is `epochs`.
        epochs: this length in passes over the images; null where it is `usual_minutes`.
    """

    name: str
    summary: str
    group: Literal["family", "article"]
    usual_minutes: float | None
    epochs: float | None

    @property
    def usual_length(self) -> str:
        """In words: "5 minutes", "1 pass"."""
        if self.usual_minutes is not None:
            return format_count(self.usual_minutes, "minute")
        assert self.epochs is not None
        return format_count(self.epochs, "pass", "passes")


@dataclass(frozen=True, kw_only=True, repr=False)
class RecipeList(Result):
    """The named recipes.

    Attributes:
        recipes: all of them, families first.
    """

    schema: ClassVar[str] = "isthmus.recipes/1"

    recipes: tuple[RecipeEntry, ...]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["recipe", "usual length", "what it is"]
        return header, [[recipe.name, recipe.usual_length, recipe.summary] for recipe in self.recipes]


@dataclass(frozen=True)
class RecipeSetting:
    """One setting of a recipe.

    Attributes:
        key: as in `settings=["KEY=VALUE"]` of `train`.
        value: as text.
        meaning: what it does.
    """

    key: str
    value: str
    meaning: str


@dataclass(frozen=True, kw_only=True, repr=False)
class RecipeInfo(Result):
    """Every setting of one recipe.

    Attributes:
        name: of the recipe, or the file that holds it.
        about: what it is, in one line.
        recipe: the recipe as nested objects, one per axis.
        settings: each setting; `train` can change it.
        toml: the recipe as the text of a file that `train` reads.
    """

    schema: ClassVar[str] = "isthmus.recipe/1"
    document: ClassVar = keys("name", summary="about") | keys("recipe settings")

    name: str
    about: str
    recipe: Mapping[str, Any] = field(repr=False)
    settings: tuple[RecipeSetting, ...] = field(repr=False)
    toml: str = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["setting", "value", "meaning"], [[s.key, s.value, s.meaning] for s in self.settings]

    def summary(self) -> str:
        return f"{self.name}: {self.about}"


@dataclass(frozen=True, kw_only=True, repr=False)
class ShippedModels(Result):
    """The models that come with the package.

    Attributes:
        models: the card of each: `name`, `bytes`, `good_for`, `data`, `licences`, `command`, `seed`, `hours`,
            `results` and more.
    """

    schema: ClassVar[str] = "isthmus.models/1"

    models: tuple[Mapping[str, Any], ...] = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """The whole card of one model; of several a line each."""
        if len(self.models) == 1:
            return ["what", "value"], list(_card_rows(self.models[0]))
        return ["model", "MB", "good for"], [
            [card["name"], round(card["bytes"] / 1e6, 1), card["good_for"]] for card in self.models
        ]


def list_recipes() -> RecipeList:
    """List the named recipes.

    Examples:
        >>> import isthmus
        >>> isthmus.list_recipes().recipes[0].name
        'conv'
    """
    from isthmus.model.recipes import FAMILIES, RECIPES, recipe, summary

    return RecipeList(
        recipes=tuple(
            RecipeEntry(
                name,
                summary(name),
                "family" if name in FAMILIES else "article",
                recipe(name).usual_minutes,
                recipe(name).optimiser.epochs,
            )
            for name in RECIPES
        )
    )


def describe_recipe(name: str) -> RecipeInfo:
    """Show every setting of one recipe with its value and meaning.

    Args:
        name: of the recipe, or a file `NAME.toml` that holds one.

    Raises:
        UsageError: no recipe has this name (the message names the nearest), or the file is not a recipe.

    Examples:
        >>> import isthmus
        >>> isthmus.describe_recipe("dense").settings[0].key
        'code'
    """
    from isthmus.model.recipe import write_recipe
    from isthmus.model.recipes import RECIPES, recipe, summary

    chosen = recipe(name)
    return RecipeInfo(
        name=name,
        about=summary(name) if name in RECIPES else f"the recipe in {name}",
        recipe=chosen.to_dict(),
        settings=tuple(RecipeSetting(*row) for row in chosen.describe()),
        toml=write_recipe(chosen),
    )


def list_models(name: str | None = None) -> ShippedModels:
    """List the models that come with the package, or show the card of one.

    A card states what the model is for, what it was trained on and under which licences, the commands that
    reproduce it, and what was measured.

    Args:
        name: of one model; by default all are listed.

    Raises:
        UsageError: no shipped model has this name; the message names the nearest.

    Examples:
        >>> import isthmus
        >>> isthmus.list_models("photo-codec").models[0]["recipe"]
        'codec'
    """
    from isthmus import pretrained

    names = pretrained.names() if name is None else [name]
    cards = {model_name: pretrained.card(model_name) for model_name in names}
    return ShippedModels(
        models=tuple(
            {"name": model_name, "bytes": pretrained.path(model_name).stat().st_size, **card}
            for model_name, card in cards.items()
        )
    )


def _card_rows(card: Mapping[str, Any]) -> list[list[object]]:
    rows: list[list[object]] = []
    for key, value in card.items():
        texts = [value]
        if isinstance(value, dict):
            texts = [f"{inner}: {text}" for inner, text in value.items()]
        elif isinstance(value, list):
            texts = value
        rows += [[key if number == 0 else "", str(text)] for number, text in enumerate(texts)]
    return rows
