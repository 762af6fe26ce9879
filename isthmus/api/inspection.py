"""What a model file or a compressed image holds. Imports no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from isthmus.api.facts import CompressedFacts
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
        entries: list[tuple[str, object]] = [
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
            *_describe_detector(self.attachments.get("anomalies")),
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
            *(("finding", str(finding)) for finding in recorded(training)),
            (
                "written by",
                f"isthmus {training['version']}, torch {training['torch']}" if "torch" in training else None,
            ),
        ]
        return ["what", "value"], [
            [name, str(value)] for name, value in entries if value not in (None, "none")
        ]


@dataclass(frozen=True, kw_only=True, repr=False)
class CompressedFileInfo(CompressedFacts, Result):
    """What the header of a compressed image says; its checksums are right."""

    schema: ClassVar[str] = "isthmus.file/1"
    document: ClassVar = {one.name: one.name for one in fields(CompressedFacts)}

    def rows(self) -> tuple[list[str], list[list[object]]]:
        height, width = self.size
        colour = {1: "gray", 3: "colour"}[self.channels]
        rows: list[list[object]] = [
            ["file", self.file],
            ["image", f"{width}×{height}, {colour}{' with transparency' if self.alpha else ''}"],
            ["bytes", f"{self.bytes:,}"],
            ["bits per pixel", f"{self.bpp:.4g}"],
            ["quality", f"{self.quality:g}"],
            ["made with model", self.made_with],
            ["tiles", f"{self.tiles:,} of {self.tile} pixels"],
        ]
        rows += [[f"bytes of {name}", f"{size:,}"] for name, size in self.parts.items()]
        return ["what", "value"], rows


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
        from isthmus.codec.facts import inspect_compressed_file

        return CompressedFileInfo(file=os.fspath(path), **inspect_compressed_file(path))
    from isthmus.model.file import read_header
    from isthmus.model.loading import resolve_model_path

    file = resolve_model_path(path)
    header = read_header(file)
    try:
        info = _describe_header(os.fspath(path), file.stat().st_size, header)
        info.rows()  # what is damaged in it is found here, not when it is shown
    except IsthmusError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ModelFileError(
            "{path} is damaged: its header is not what isthmus writes", id="model-file.header", path=path
        ) from None
    return info


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


def _describe_detector(facts: object) -> list[tuple[str, object]]:
    """What the stored anomaly detector is, its threshold and its power; nothing for unsound facts."""
    from isthmus.features.power_rows import describe_power, power_from_facts

    if not isinstance(facts, Mapping) or not isinstance(facts.get("kind"), str):
        return []
    rows: list[tuple[str, object]] = [("anomaly score", facts["kind"])]
    rate, threshold = facts.get("used_rate", facts.get("false_alarms")), facts.get("threshold")
    if isinstance(threshold, float) and isinstance(rate, float) and 0 < rate < 1:
        rows.append(("anomaly threshold", f"{threshold:.5g}, at {rate:.3g} false alarms"))
        power = describe_power(power_from_facts(facts.get("power")), rate)
        rows.append(("anomaly detector", power or None))
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
