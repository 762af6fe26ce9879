"""What a file holds, which recipes there are, and which models come with the package. Imports no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from isthmus.api.inputs import PathLike
from isthmus.api.result import Result
from isthmus.errors import IsthmusError, ModelFileError
from isthmus.wording import format_count


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelInfo(Result):
    """What the header of a model file says.

    Attributes:
        model: the model file, as it was given.
        bytes: size of the file.
        format: version of the file format.
        recipe: the recipe as nested objects, one per axis.
        code: shape of the code, such as `64` or `32@8`.
        size: height and width of the training images in pixels.
        channels: 1 gray, 3 colour.
        numbers: stored numbers by part: `encoder`, `bottleneck`, `decoder`, `critic`, as far as it has them.
        attachments: facts about what was fitted to the model later, by name.
        training: how it was trained: data, options, settled choices, losses, findings.
    """

    schema: ClassVar[str] = "isthmus.info/1"
    document: ClassVar = {
        "model": "model",
        "bytes": "bytes",
        "format": "format",
        "recipe": "recipe",
        "code": "code",
        "size": "size",
        "channels": "channels",
        "numbers": "numbers",
        "attachments": "attachments",
        "summary": "training",
    }

    model: str
    bytes: int
    format: int
    recipe: Mapping[str, Any] = field(repr=False)
    code: str
    size: tuple[int, int]
    channels: int
    numbers: Mapping[str, int]
    attachments: Mapping[str, Any] = field(repr=False)
    training: Mapping[str, Any] = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        from isthmus.training.diagnosis.finding import recorded

        recipe, training = self.recipe, self.training
        data, settled, best = (training.get(key) or {} for key in ("data", "settled", "best"))
        height, width = self.size
        colour = {1: "gray", 3: "colour"}.get(self.channels, f"{self.channels} channels")
        found: list[tuple[str, object]] = [
            ("model", self.model),
            ("bytes", f"{self.bytes:,}"),
            ("recipe", recipe.get("name")),
            ("code", self.code),
            ("images", f"{height}×{width}, {colour}" + (", or any other size" if "@" in self.code else "")),
            *(
                (axis, recipe[axis].get("kind"))
                for axis in ("backbone", "corruption", "bottleneck", "critic")
            ),
            ("image terms", recipe["objective"].get("image")),
            *((f"numbers in {part}", f"{count:,}") for part, count in self.numbers.items()),
            ("attached", ", ".join(self.attachments) or None),
            ("trained on", data.get("source")),
            ("training images", _format_number(data.get("images"))),
            ("held out", _format_number(data.get("held_out"))),
            ("classes", ", ".join(data.get("classes") or []) or None),
            ("steps", _format_number(training.get("steps"))),
            ("seconds", training.get("seconds")),
            ("precision", settled.get("precision")),
            ("seed", settled.get("seed")),
            ("validation", None if not best else f"{best['validation']:.5g} at step {best['step']:,}"),
            ("privacy", _format_privacy(training.get("privacy"))),
            *(("finding", str(one)) for one in recorded(training)),
            (
                "written by",
                f"isthmus {training['version']}, torch {training['torch']}" if "torch" in training else None,
            ),
        ]
        return ["what", "value"], [[name, str(value)] for name, value in found if value not in (None, "none")]


@dataclass(frozen=True, kw_only=True, repr=False)
class CompressedFileInfo(Result):
    """What the header of a compressed image says; its checksums are right.

    Attributes:
        file: the compressed file, as it was given.
        bytes: size of the file.
        bpp: bits per pixel.
        format: version of the file format.
        size: height and width of the image in pixels.
        channels: 1 gray, 3 colour.
        alpha: whether there is transparency.
        quality: 1 to 100.
        tile: side of a tile in pixels.
        tiles: number of tiles.
        made_with: fingerprint of the model, in hexadecimal.
        parts: bytes by part: `header`, `tiles`, `alpha`, `icc`, `exif`, `preview`, as far as it has them.
    """

    schema: ClassVar[str] = "isthmus.file/1"
    document: ClassVar = {
        "file": "file",
        "bytes": "bytes",
        "bpp": "bpp",
        "format": "format",
        "size": "size",
        "channels": "channels",
        "alpha": "alpha",
        "quality": "quality",
        "tile": "tile",
        "tiles": "tiles",
        "made_with": "made_with",
        "parts": "parts",
    }

    file: str
    bytes: int
    bpp: float
    format: int
    size: Sequence[int]
    channels: int
    alpha: bool
    quality: float
    tile: int
    tiles: int
    made_with: str
    parts: Mapping[str, int]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        height, width = self.size
        colour = {1: "gray", 3: "colour"}[self.channels]
        return ["what", "value"], [
            ["file", self.file],
            ["image", f"{width}×{height}, {colour}{' with transparency' if self.alpha else ''}"],
            ["bytes", f"{self.bytes:,}"],
            ["bits per pixel", f"{self.bpp:.4g}"],
            ["quality", f"{self.quality:g}"],
            ["made with model", self.made_with],
            ["tiles", f"{self.tiles:,} of {self.tile} pixels"],
            *([f"bytes of {name}", f"{size:,}"] for name, size in self.parts.items()),
        ]


@dataclass(frozen=True)
class RecipeEntry:
    """One named recipe.

    Attributes:
        name: what `train` takes as `recipe`.
        summary: what it is, in one line.
        group: `family`, or `article` for those that repeat a publication.
    """

    name: str
    summary: str
    group: Literal["family", "article"]


@dataclass(frozen=True, kw_only=True, repr=False)
class RecipeList(Result):
    """The named recipes.

    Attributes:
        recipes: all of them, families first.
    """

    schema: ClassVar[str] = "isthmus.recipes/1"
    document: ClassVar = {"recipes": "recipes"}

    recipes: tuple[RecipeEntry, ...]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["recipe", "what it is"], [[recipe.name, recipe.summary] for recipe in self.recipes]


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
    document: ClassVar = {"name": "name", "summary": "about", "recipe": "recipe", "settings": "settings"}

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
    document: ClassVar = {"models": "models"}

    models: tuple[Mapping[str, Any], ...] = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """The whole card of one model; of several a line each."""
        if len(self.models) == 1:
            return ["what", "value"], list(_card_rows(self.models[0]))
        return ["model", "MB", "good for"], [
            [card["name"], round(card["bytes"] / 1e6, 1), card["good_for"]] for card in self.models
        ]


def inspect_file(path: PathLike) -> ModelInfo | CompressedFileInfo:
    """Show what a model file or a compressed image (`.isth`) holds.

    Of a model: recipe, code, sizes, how it was trained and on what; only its header is read. Of a compressed
    image: size, quality, the model it was made with, and where its bytes go; its checksums are compared, its
    pixels are not decoded.

    Args:
        path: a model file, the name of a shipped model, or a compressed image.

    Raises:
        ModelFileError: missing, damaged, or from a later version.
        CompressedFileError: a compressed image that is damaged, or from a later version.
        UsageError: images of another kind, or a name that no shipped model has.

    Examples:
        >>> import isthmus
        >>> isthmus.inspect_file("photo-codec").code
        '256@16'
    """
    if _is_compressed(path):
        from isthmus.codec.facts import examine

        return CompressedFileInfo(file=os.fspath(path), **examine(path))
    from isthmus.model.file import read_header
    from isthmus.model.loading import resolve_model_path

    file = resolve_model_path(path)
    header = read_header(file)
    try:
        found = _describe_header(os.fspath(path), file.stat().st_size, header)
        found.rows()  # what is damaged in it is found here, not when it is shown
    except IsthmusError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ModelFileError(f"{path} is damaged: its header is not what isthmus writes") from None
    return found


def list_recipes() -> RecipeList:
    """List the named recipes.

    Examples:
        >>> import isthmus
        >>> isthmus.list_recipes().recipes[0].name
        'conv'
    """
    from isthmus.model.recipes import ARTICLES, FAMILIES, summary

    families = (RecipeEntry(name, summary(name), "family") for name in FAMILIES)
    articles = (RecipeEntry(name, summary(name), "article") for name in ARTICLES)
    return RecipeList(recipes=(*families, *articles))


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
    from isthmus.model.recipe_file import write_recipe
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

    A card says what the model is good for, what it was trained on and under which licences, the commands that
    make it again, and what was measured.

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
    cards = {one: pretrained.card(one) for one in names}
    return ShippedModels(
        models=tuple(
            {"name": one, "bytes": pretrained.path(one).stat().st_size, **card} for one, card in cards.items()
        )
    )


def _is_compressed(path: PathLike) -> bool:
    """Whether this is a compressed image, by its first bytes, or by its name where it is too short to say."""
    from isthmus.codec.container import MAGIC, SUFFIX

    file = Path(path)
    if not file.is_file():
        return file.suffix.lower() == SUFFIX
    with file.open("rb") as stream:
        start = stream.read(len(MAGIC))
    return start == MAGIC or (len(start) < len(MAGIC) and file.suffix.lower() == SUFFIX)


def _describe_header(path: str, size_bytes: int, header: Mapping[str, Any]) -> ModelInfo:
    counts = {name: math.prod(shape) for name, shape in header["tensors"].items()}
    parts = {
        part: sum(count for name, count in counts.items() if name.partition(".")[0] == part)
        for part in ("encoder", "bottleneck", "decoder", "critic")
    }
    height, width = header["size"]
    return ModelInfo(
        model=path,
        bytes=size_bytes,
        format=header["format"],
        recipe=header["recipe"],
        code=header["recipe"]["code"],
        size=(height, width),
        channels=header["channels"],
        numbers={part: count for part, count in parts.items() if count},
        attachments=header.get("attachments", {}),
        training=header.get("summary", {}),
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


def _format_number(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _format_privacy(spent: Mapping[str, Any] | None) -> str | None:
    if not spent:
        return None
    return (
        f"ε {spent['epsilon']:.4g} at δ {spent['delta']:.3g} for any one image "
        f"(noise {spent['noise']:.4g}, clip norm {spent['clip']:g}, {format_count(spent['steps'], 'step')})"
    )
