"""`isthmus frames MODEL FRAMES -o OUT`: frames filled, inserted, predicted; motion learned."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import click

from isthmus.api.frame_sequences import (
    FrameSequence,
    fill_frames,
    fit_motion,
    insert_frames,
    predict_frames,
    reconstruct_frames,
)
from isthmus.api.result import Result
from isthmus.cli.command import build_command
from isthmus.cli.console import Console

_USES: dict[str, Callable[..., Result]] = {
    "fill": fill_frames,
    "between": insert_frames,
    "predict": predict_frames,
}
_STEPS = inspect.signature(fit_motion).parameters["steps"].default


class NumbersType(click.ParamType[list[int]]):
    """Numbers of frames: `4` or `2-5,9`."""

    name = "numbers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        numbers: list[int] = []
        for word in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", word)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                self.fail(f"'{value}': write 4 or 2-5,9", param, ctx)
            numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
        return numbers


def _call(console: Console, positional: list[Any], options: dict[str, Any]) -> Result:  # noqa: ARG001
    """The use that was chosen: at most one of `--fill`, `--between`, `--predict` and `--learn`."""
    steps = options.pop("steps", None)
    chosen = {name: options.pop(name) for name in ("fill", "between", "predict", "learn") if name in options}
    if len(chosen) > 1:
        raise click.UsageError("give one of --fill, --between, --predict and --learn at a time")
    outputs = click.get_current_context().params["outputs"]
    if "learn" in chosen:
        if outputs:
            raise click.UsageError("--learn keeps what it learns in MODEL: leave out -o")
        if steps is not None:
            options["steps"] = steps
        return fit_motion(*positional, **options)
    if steps is not None:
        raise click.UsageError("--steps has no effect without --learn")
    if not outputs:
        raise click.UsageError("-o OUT is needed")
    for name, value in chosen.items():
        return _USES[name](*positional, value, **options)
    return reconstruct_frames(*positional, **options)


command = build_command(
    reconstruct_frames,
    arguments=("model", "frames"),
    out=FrameSequence,
    help="""
    Work on frames through the code of MODEL.

    FRAMES is a folder of images in the order of their names, or an animated GIF, WebP or PNG; as an
    animation it keeps its size and its pace. Without one of the options it is written as MODEL reconstructs
    it. Between known frames codes go straight, or as they have been learned to go with --learn; without that
    a prediction repeats the last frame.
    """,
    extra=(
        click.Option(
            ["--fill"],
            type=NumbersType(),
            metavar="N[-M],…",
            help="Make these frames from the others, counted from 0.",
        ),
        click.Option(["--between"], type=int, metavar="N", help="Put N frames between any two."),
        click.Option(["--predict"], type=int, metavar="N", help="The N frames that come next."),
        click.Option(
            ["--learn"],
            is_flag=True,
            default=None,
            help="Learn how codes move (sub-folders are sequences) and keep it in MODEL.",
        ),
        click.Option(["--steps"], type=int, help=f"Of learning.  [default: {_STEPS}]"),
    ),
    call=_call,
    examples="""
        isthmus frames moving.safetensors clips/ --learn
        isthmus frames moving.safetensors clip.gif --fill 3,7-9 -o whole.gif
    """,
)
