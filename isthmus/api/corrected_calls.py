"""Hints that repeat the whole call corrected: model and images exchanged, a folder without images."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from isthmus import pretrained
from isthmus.api.inputs import is_model_file
from isthmus.errors import EMPTY_FOLDER_IDS, DataError, Hint, UsageError

_PYTHON_ONLY = ("progress", "callbacks")


@contextmanager
def correcting_calls(
    function: Callable[..., object], arguments: Sequence[object], options: Mapping[str, object]
) -> Iterator[None]:
    """Within the block an error about exchanged arguments or an empty folder has the corrected call as hint.

    Args:
        function: the use.
        arguments, options: what it was called with.
    """
    _check_not_exchanged(function, arguments, options)
    try:
        yield
    except DataError as error:
        # A hint that names another use, as for a folder of compressed files, says more.
        if error.id in EMPTY_FOLDER_IDS and (error.hint is None or not error.hint.use):
            _suggest_other_folder(error, function, arguments, options)
        raise


def _check_not_exchanged(
    function: Callable[..., object], arguments: Sequence[object], options: Mapping[str, object]
) -> None:
    """Check that a use was not given images as its model and a model as its images.

    Args:
        function: the use; its annotations state which of its parameters are models and which are images.
        arguments, options: what it was called with.

    Raises:
        UsageError: exchanged; the hint is the whole call with both in their places, the fields `model` and
            `images` are what was given as these.
    """
    kinds = _parameter_kinds(function)
    values = {**dict(zip(kinds, arguments, strict=False)), **options}
    model = _find(values, kinds, "model", lambda value: not _names_model(value))
    images = _find(values, kinds, "images", _names_model)
    if model is None or images is None:
        return
    raise UsageError(
        "{images} is a model file, but images are expected in its place",
        id="call.exchanged-arguments",
        hint=_repeat(function, arguments, values, {model: images, images: model}),
        model=model,
        images=images,
    )


def _suggest_other_folder(
    error: DataError,
    function: Callable[..., object],
    arguments: Sequence[object],
    options: Mapping[str, object],
) -> None:
    """Give the error about an empty folder the hint to call the use with another one in its place.

    Args:
        error: with `folder` and `expected`, a word for what should be given, among its fields.
        function, arguments, options: the use, and what it was called with.
    """
    folder, expected = str(error.fields["folder"]), str(error.fields["expected"])
    values = {**dict(zip(_parameter_kinds(function), arguments, strict=False)), **options}
    spellings = {value for value in _paths(values.values()) if Path(value) == Path(folder)}
    if spellings:
        error.hint = _repeat(function, arguments, values, dict.fromkeys(spellings, expected))
        error.__notes__ = [f"hint: {error.hint}"]


def _repeat(
    function: Callable[..., object],
    arguments: Sequence[object],
    values: Mapping[str, object],
    replacements: Mapping[str, str],
) -> Hint:
    """The call with other words for some paths."""
    right = {
        name: _exchange(value, replacements)
        for name, value in values.items()
        if value is not None and name not in _PYTHON_ONLY
    }
    positional = []
    for name in list(right)[: len(arguments)]:
        if not isinstance(right[name], str):
            break  # what follows is given by its name
        positional.append(right.pop(name))
    return Hint.call(function.__name__, *positional, **right)


@cache
def _parameter_kinds(function: Callable[..., object]) -> dict[str, str]:
    """Name of each parameter -> `model`, `images` or nothing, by its annotation."""
    kinds = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = str(parameter.annotation)
        takes_images = "DataLike" in annotation or "ImageLike" in annotation or name in ("inputs", "place")
        kinds[name] = "model" if "ModelLike" in annotation else "images" if takes_images else ""
    return kinds


def _find(
    arguments: Mapping[str, object], kinds: Mapping[str, str], kind: str, is_wrong: Callable[[str], bool]
) -> str | None:
    """The first path among the values of a kind that is wrong there."""
    values = (value for name, value in arguments.items() if kinds.get(name) == kind)
    return next(filter(is_wrong, _paths(values)), None)


def _paths(values: Iterable[object]) -> Iterator[str]:
    """The paths among some values, and those in lists among them."""
    for value in values:
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, (str, os.PathLike)):
                yield os.fspath(item)


def _names_model(value: str) -> bool:
    return is_model_file(value) or (value in pretrained.names() and not Path(value).exists())


def _exchange(value: object, replacements: Mapping[str, str]) -> Any:
    """A value as a hint shows it, with the two paths exchanged; an array is a word in capitals."""
    if isinstance(value, (list, tuple)):
        return type(value)(_exchange(item, replacements) for item in value)
    if isinstance(value, (str, os.PathLike)):
        return replacements.get(os.fspath(value), os.fspath(value))
    return value if isinstance(value, (bool, int, float)) else type(value).__name__.upper()
