"""`isthmus frames MODEL SEQUENCE -o OUT`: dropped frames filled, frames put between, next ones foretold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.cli.line import command_line
from isthmus.errors import UsageError
from isthmus.outputs import check_output
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    if value is None:
        return None
    found: list[int] = []
    for word in value.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", word)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise click.BadParameter(f"'{value}': write 4 or 2-5,9", ctx=context, param=parameter)
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


@click.command()
@click.argument("model")
@click.argument("sequence")
@click.option("-o", "--out", metavar="OUT", help="Folder, animation (.gif, .webp) or .npz.")
@click.option("--fill", callback=_numbers, metavar="N[-M],…", help="Make these frames anew, counted from 0.")
@click.option("--between", type=click.IntRange(1), metavar="N", help="Put N frames between any two.")
@click.option("--predict", type=click.IntRange(1), metavar="N", help="The N frames that come next.")
@click.option(
    "--learn", is_flag=True, help="Learn how codes move (sub-folders are sequences) and keep it in MODEL."
)
@click.option("--steps", type=click.IntRange(1), help="Of learning.  [default: 4000]")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    sequence: str,
    out: str | None,
    fill: list[int] | None,
    between: int | None,
    predict: int | None,
    learn: bool,
    steps: int | None,
    force: bool,
) -> None:
    """Work on frames through the code of MODEL.

    SEQUENCE is a folder of frames in the order of their names, or an animated GIF, WebP or PNG; as an
    animation it keeps its size and its pace. Without one of the options it is written as MODEL sees it.
    Between known frames codes go straight, or as they have been learned to go with --learn; without that a
    prediction repeats the last frame.
    """
    if (fill is not None) + (between is not None) + (predict is not None) + learn > 1:
        raise UsageError("give one of --fill, --between, --predict and --learn at a time")
    if not learn and out is None:
        raise UsageError("-o OUT is needed", hint="isthmus frames MODEL SEQUENCE -o OUT")
    autoencoder = load_model(model, swapped=swap_if_model(model, sequence, ["frames"]))
    check_data(sequence)
    if learn:
        _learn(console, autoencoder, model, sequence, steps)
        return
    import numpy as np

    from isthmus.generation import frames as made
    from isthmus.images.animation import milliseconds_of, read_frames, write_frames
    from isthmus.images.conform import to_dtype
    from isthmus.images.outputs import ANIMATED, check_free, write_images

    assert out is not None
    check_free(out, force)
    frames = read_frames(sequence, channels=autoencoder.channels)
    _check_one(frames, model, sequence, out)
    if fill is not None:
        what, pixels = "filled", made.fill(autoencoder, frames, fill)
    elif between is not None:
        what, pixels = "slowed", made.between(autoencoder, frames, between)
    elif predict is not None:
        what, pixels = "predicted", made.predict(autoencoder, frames, predict)
    else:
        seen = autoencoder.reconstruct(frames.stack(range(len(frames))))
        what, pixels = "reconstructed", to_dtype(seen, np.uint8)
    if Path(out).suffix.lower() in ANIMATED:
        write_frames(out, pixels, milliseconds=milliseconds_of(sequence), force=force)
        files: tuple[Path, ...] = (Path(out),)
    else:
        files = write_images(out, pixels, force=force)
    console.emit(
        {
            "schema": "isthmus.frames/1",
            "model": model,
            "sequence": sequence,
            "given": len(frames),
            "out": out,
            "what": what,
            "frames": len(pixels),
            "learned": "dynamics" in autoencoder.attachments,
            "files": [str(path) for path in files],
            "skipped": as_json(frames.skipped),
        }
    )
    console.result(f"{format_count(len(pixels), 'frame')} ({what}) written to {out}")
    end_with_skipped(console, frames.skipped)


def _check_one(frames: ImageSet, model: str, sequence: str, out: str) -> None:
    if frames.labels is None or len(frames.classes) < 2:
        return
    first = Path(sequence, frames.classes[0])
    raise UsageError(
        f"{sequence} holds {len(frames.classes)} sequences, and one at a time is worked on",
        hint=command_line(["frames", model, str(first), "-o", out]) if first.is_dir() else None,
    )


def _learn(console: Console, autoencoder: Autoencoder, model: str, sequence: str, steps: int | None) -> None:
    from isthmus.generation.dynamics import NAME, STEPS, fit_dynamics
    from isthmus.generation.frames import sequence_codes, sequences_of
    from isthmus.images.animation import read_frames
    from isthmus.model.attachments import attach

    check_output(model, force=True, stream=False)
    frames = read_frames(sequence, channels=autoencoder.channels)
    codes = [sequence_codes(autoencoder, one) for one in sequences_of(frames)]
    length = steps or STEPS
    with console.progress("learning", total=length) as line:
        fit_dynamics(autoencoder, codes, steps=length, listener=lambda p: line.update(p.step))
    kept = autoencoder.attachments[NAME]
    attach(model, NAME, kept.tensors, kept.facts)
    console.emit(
        {
            "schema": "isthmus.frames/1",
            "model": model,
            "sequence": sequence,
            "given": len(frames),
            "out": None,
            "what": "learned",
            "frames": 0,
            "learned": True,
            "files": [],
            "skipped": as_json(frames.skipped),
        }
    )
    console.result(
        f"how codes move was learned from {format_count(len(codes), 'sequence')} and is in {model}"
    )
    end_with_skipped(console, frames.skipped)
