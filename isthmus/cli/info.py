"""`isthmus info FILE`: what a model file or a compressed image holds. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from isthmus.cli.console import Console, speaks
from isthmus.cli.inputs import check_model
from isthmus.errors import IsthmusError, ModelFileError
from isthmus.reports.tables import format_table
from isthmus.wording import format_count


@click.command()
@click.argument("model", metavar="FILE")
@speaks
def command(console: Console, model: str) -> None:
    """Show what a model file or a compressed image (.isth) holds.

    Of a model: recipe, code, sizes, how it was trained and on what; only its header is read. Of a compressed
        image: size, quality, the model it was made with, and where its bytes go; its checksums are compared,
        its pixels not decoded.
    """
    if is_compressed(model):
        from isthmus.codec.facts import examine

        found = {"schema": "isthmus.file/1", "file": model, **examine(model)}
        console.emit(found)
        console.result(format_table(("what", "value"), file_rows(found)))
        return
    from isthmus.model.file import read_header
    from isthmus.model.loading import resolve_model_path

    path = resolve_model_path(check_model(model))
    header = read_header(path)
    try:
        document = describe(model, path, header)
        lines = rows(document)
    except IsthmusError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ModelFileError(f"{model} is damaged: its header is not what isthmus writes") from None
    console.emit(document)
    console.result(format_table(("what", "value"), lines))


def describe(model: str, path: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    """The header as a document of schema "isthmus.info/1"."""
    counts = {name: math.prod(shape) for name, shape in header["tensors"].items()}
    parts = {
        part: sum(count for name, count in counts.items() if name.partition(".")[0] == part)
        for part in ("encoder", "bottleneck", "decoder", "critic")
    }
    return {
        "schema": "isthmus.info/1",
        "model": model,
        "bytes": path.stat().st_size,
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
        ("privacy", _privacy(summary.get("privacy"))),
        *(("finding", str(one)) for one in recorded(summary)),
        (
            "written by",
            f"isthmus {summary['version']}, torch {summary['torch']}" if "torch" in summary else None,
        ),
    ]
    return [(name, str(value)) for name, value in found if value not in (None, "none")]


def _privacy(spent: Mapping[str, Any] | None) -> str | None:
    if not spent:
        return None
    return (
        f"ε {spent['epsilon']:.4g} at δ {spent['delta']:.3g} for any one image "
        f"(noise {spent['noise']:.4g}, clip norm {spent['clip']:g}, {format_count(spent['steps'], 'step')})"
    )


def is_compressed(path: str) -> bool:
    """Whether this is a compressed image, by its first bytes, or by its name where it is too short to say."""
    from isthmus.codec.container import MAGIC, SUFFIX

    file = Path(path)
    if not file.is_file():
        return file.suffix.lower() == SUFFIX
    with file.open("rb") as stream:
        start = stream.read(len(MAGIC))
    return start == MAGIC or (len(start) < len(MAGIC) and file.suffix.lower() == SUFFIX)


def file_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A compressed image's facts as lines for people."""
    height, width = document["size"]
    colour = {1: "gray", 3: "colour"}[document["channels"]]
    return [
        ("file", document["file"]),
        ("image", f"{width}×{height}, {colour}{' with transparency' if document['alpha'] else ''}"),
        ("bytes", f"{document['bytes']:,}"),
        ("bits per pixel", f"{document['bpp']:.4g}"),
        ("quality", f"{document['quality']:g}"),
        ("made with model", document["made_with"]),
        ("tiles", f"{document['tiles']:,} of {document['tile']} pixels"),
        *((f"bytes of {name}", f"{size:,}") for name, size in document["parts"].items()),
    ]


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"
