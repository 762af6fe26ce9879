"""What is given on the command line: images, a model, a size; and what was left out of the images.

A model where images are expected, or the reverse, is the commonest slip and gets its own message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isthmus import pretrained
from isthmus.cli.console import Console
from isthmus.cli.line import command_line
from isthmus.errors import UsageError
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    from isthmus.images.store import Pixels, Skipped
    from isthmus.model.autoencoder import Autoencoder

MODEL_SUFFIX = ".safetensors"
SKIPPED = 3


def as_size(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """A click callback: `HxW`, or one number for a square, as (height, width)."""
    if value is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})(?:[x×,]([1-9]\d{0,5}))?", value.strip())
    if match is None:
        raise click.BadParameter(
            f"'{value}' is not a size: write 64 for a square, or 48x64 for height and width",
            ctx=context,
            param=parameter,
        )
    return int(match[1]), int(match[2] or match[1])


def check_data(data: str) -> str:
    """Raises:
    UsageError: this is a model file, and images are expected here.
    """
    if Path(data).suffix == MODEL_SUFFIX and not Path(data).is_dir():
        raise UsageError(
            f"{data} is a model file, and images are expected here", hint=command_line(["info", data])
        )
    return data


def check_model(model: str, *, swapped: Sequence[str] | None = None) -> str:
    """The path of a model file.

    Args:
        swapped: the whole command with its first two arguments exchanged, as a hint.

    Raises:
        UsageError: this is a folder, an image or a named data set, and a model file is expected here.
    """
    from isthmus.model.loading import holds_images

    if holds_images(model):
        hint = command_line(swapped if swapped is not None else ["train", model])
        raise UsageError(f"{model} is not a model file but images", hint=hint)
    return model


def load_model(model: str, *, swapped: Sequence[str] | None = None) -> Autoencoder:
    """The model at this path.

    Raises:
        UsageError: as `check_model`.
        ModelFileError: missing, damaged, or from a later version.
    """
    check_model(model, swapped=swapped)
    from isthmus.model.loading import load

    return load(model)


def read_image(path: str, model: Autoencoder) -> Pixels:
    """One image, also of a set (`mnist:test[17]`), as `(H, W, C)` with the model's channels.

    Raises:
        DataError: missing, damaged, no image, or several.
    """
    from isthmus.images import reading

    return reading.read_image(path, channels=model.channels)


def swap_if_model(model: str, data: str, words: Sequence[str]) -> list[str] | None:
    """The command with MODEL and DATA exchanged when DATA looks like the model; else None."""
    looks_like_model = Path(data).suffix == MODEL_SUFFIX or data in pretrained.names()
    return [words[0], data, model, *words[1:]] if looks_like_model else None


def end_with_skipped(console: Console, skipped: Sequence[Skipped]) -> None:
    """Name what was left out, and end with exit code 3 if anything was."""
    if not skipped or console.silent:  # the first of several processes says it, and ends with that code
        return
    console.warn(f"{format_count(len(skipped), 'input')} {choose_word(len(skipped), 'was', 'were')} skipped:")
    for one in skipped:
        console.warn(f"  {one.name}: {one.reason}")
    click.get_current_context().exit(SKIPPED)


def as_json(skipped: Sequence[Skipped]) -> list[dict[str, str]]:
    """What was left out, for a JSON document."""
    return [{"name": one.name, "reason": one.reason} for one in skipped]
