"""`-` for one file of a use that turns files into files: standard input, standard output."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from isthmus.errors import DataError, OutputError, UsageError
from isthmus.outputs import explain_os_error, is_folder
from isthmus.wording import format_count

STREAM = "-"
_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")
_SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "DIB": ".dib",
    "GIF": ".gif",
    "PPM": ".ppm",
    "JPEG2000": ".jp2",
}


def takes_streams(
    suffix: str | None = None,
) -> Callable[[Callable[_Parameters, _Returned]], Callable[_Parameters, _Returned]]:
    """Decorate a use with `inputs` and `out`: each may be `-` where there is one input.

    Args:
        suffix: of what is written to standard output; by default the format of the image that is read.
    """

    def decorate(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
        @functools.wraps(function)
        def call(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Returned:
            inputs: Any = args[0] if args else options.get("inputs")
            input_list: list[Any] = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            writes = isinstance(options.get("out"), str) and options["out"] == STREAM
            # As a path it is a file: that is how ./- arrives here.
            reads = any(isinstance(item, str) and item == STREAM for item in input_list)
            if not reads and not writes:
                return function(*args, **options)
            # A folder may be called -, too; it is given as ./-
            is_path = not reads and isinstance(input_list[0], (str, os.PathLike))
            if len(input_list) != 1 or (is_path and is_folder(input_list[0])):
                raise UsageError(
                    "- stands for one file, not for {inputs}",
                    id="stream.one-file",
                    inputs="a folder" if len(input_list) == 1 else format_count(len(input_list), "input"),
                )
            with tempfile.TemporaryDirectory(prefix="isthmus-") as folder:
                if reads:
                    input_list = [_hold_input(Path(folder))]
                target = Path(folder) / f"stdout{suffix or _suffix_of(input_list[0])}"
                changed: dict[str, Any] = {**options, "inputs": input_list}
                if writes:
                    _check_no_terminal()
                    changed["out"] = os.fspath(target)
                untyped: Callable[..., Any] = function
                result: _Returned = untyped(*args[1:], **changed)
                if not writes:
                    return result
                _write_output(target)
                renamed: _Returned = _name_streams(result, target)
                return renamed

        return call

    return decorate


def _hold_input(folder: Path) -> Path:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise DataError("standard input is closed", id="stream.no-input")
    place = folder / "stdin"
    place.write_bytes(stream.read())
    return place


def _suffix_of(image: Any) -> str:
    """The suffix of an image file's own format; `.png` where that is not written, or there is no file."""
    from isthmus.images.formats import probe

    if not isinstance(image, (str, os.PathLike)):
        return ".png"
    try:
        return _SUFFIXES.get(probe(Path(image)).format, ".png")
    except DataError:  # the use says why
        return ".png"


def _check_no_terminal() -> None:
    if sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, which shows no images", id="stream.terminal", hint="-o - > FILE"
        )


def _write_output(target: Path) -> None:
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        raise OutputError("standard output is closed", id="stream.no-output")
    try:
        stream.write(target.read_bytes())
        stream.flush()
    except OSError as error:
        raise explain_os_error(error, "standard output") from error


def _name_streams(result: Any, target: Path) -> Any:
    """The result with `-` for the file that was written on the way."""
    name = os.fspath(target)

    def renamed(entry: Any) -> Any:
        own = {key: STREAM for key in ("output", "file") if getattr(entry, key, None) == name}
        return replace(entry, **own) if own else entry

    return replace(result, out=STREAM, files=tuple(map(renamed, result.files)))
