"""`isthmus info MODEL`: what a model file holds, from its header alone. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from isthmus.commands.console import Console, speaks, table
from isthmus.commands.inputs import check_model
from isthmus.errors import ModelFileError


@click.command()
@click.argument("model")
@speaks
def command(console: Console, model: str) -> None:
    """Show what a model file holds.

    Recipe, code, sizes, how it was trained and on what. Only the header of MODEL is read.
    """
    from isthmus.model.file import read_header

    header = read_header(check_model(model))
    try:
        document = describe(model, header)
        lines = rows(document)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ModelFileError(f"{model} is damaged: its header is not what isthmus writes") from None
    console.emit(document)
    console.result(table(("what", "value"), lines))


def describe(path: str, header: Mapping[str, Any]) -> dict[str, Any]:
    """The header as a document of schema "isthmus.info/1"."""
    counts = {name: math.prod(shape) for name, shape in header["tensors"].items()}
    parts = {
        part: sum(count for name, count in counts.items() if name.partition(".")[0] == part)
        for part in ("encoder", "bottleneck", "decoder", "critic")
    }
    return {
        "schema": "isthmus.info/1",
        "model": path,
        "bytes": Path(path).stat().st_size,
        "format": header["format"],
        "recipe": header["recipe"],
        "code": header["recipe"].get("code"),
        "size": header.get("size"),
        "channels": header.get("channels"),
        "numbers": {part: count for part, count in parts.items() if count},
        "attachments": header.get("attachments", {}),
        "summary": header.get("summary", {}),
    }


def rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The document as lines for people."""
    from isthmus.training.diagnosis.finding import recorded

    recipe, summary = document["recipe"], document["summary"]
    data, settled, best = (summary.get(key) or {} for key in ("data", "settled", "best"))
    height, width = document["size"]
    colour = {1: "gray", 3: "colour"}.get(document["channels"], f"{document['channels']} channels")
    found = [
        ("model", document["model"]),
        ("bytes", f"{document['bytes']:,}"),
        ("recipe", recipe.get("name")),
        ("code", document["code"]),
        (
            "images",
            f"{height}×{width}, {colour}" + (", or any other size" if "@" in document["code"] else ""),
        ),
        *((axis, recipe[axis].get("kind")) for axis in ("backbone", "corruption", "bottleneck", "critic")),
        ("image terms", recipe["objective"].get("image")),
        *((f"numbers in {part}", f"{count:,}") for part, count in document["numbers"].items()),
        ("attached", ", ".join(document["attachments"]) or None),
        ("trained on", data.get("source")),
        ("training images", _count(data.get("images"))),
        ("held out", _count(data.get("held_out"))),
        ("classes", ", ".join(data.get("classes") or []) or None),
        ("steps", _count(summary.get("steps"))),
        ("seconds", summary.get("seconds")),
        ("precision", settled.get("precision")),
        ("seed", settled.get("seed")),
        ("validation", None if not best else f"{best['validation']:.5g} at step {best['step']:,}"),
        *(("finding", str(one)) for one in recorded(summary)),
        (
            "written by",
            f"isthmus {summary['version']}, torch {summary['torch']}" if "torch" in summary else None,
        ),
    ]
    return [(name, str(value)) for name, value in found if value not in (None, "none")]


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"
