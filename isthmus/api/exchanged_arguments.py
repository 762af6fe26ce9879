"""Images given as a model and a model given as images: found for every use before it begins."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from isthmus import pretrained
from isthmus.api.inputs import is_model_file
from isthmus.errors import Hint, UsageError

_PYTHON_ONLY = ("progress", "callbacks")


def check_not_exchanged(
    function: Callable[..., object], arguments: Sequence[object], options: Mapping[str, object]
) -> None:
    """Check that a use was not given images as its model and a model as its images.

    Args:
        function: the use; its annotations say which of its parameters are models and which are images.
        arguments, options: what it was called with.

    Raises:
        UsageError: exchanged; the hint is the whole call with both in their places, the fields `model` and
            `images` are what was given as these.
    """
    kinds = _parameter_kinds(function)
    given = {**dict(zip(kinds, arguments, strict=False)), **options}
    model = _find(given, kinds, "model", lambda value: not _names_model(value))
    images = _find(given, kinds, "images", _names_model)
    if model is None or images is None:
        return
    right = {
        name: _exchange(value, {model: images, images: model})
        for name, value in given.items()
        if value is not None and name not in _PYTHON_ONLY
    }
    positional = []
    for name in list(right)[: len(arguments)]:
        if not isinstance(right[name], str):
            break  # what follows is given by its name
        positional.append(right.pop(name))
    raise UsageError(
        "{images} is a model file, and images are expected here",
        id="call.exchanged-arguments",
        hint=Hint.call(function.__name__, *positional, **right),
        images=images,
        model=model,
    )


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
    given: Mapping[str, object], kinds: Mapping[str, str], kind: str, is_wrong: Callable[[str], bool]
) -> str | None:
    """The first path among the values of a kind that is wrong there."""
    for name, value in given.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if kinds.get(name) == kind and isinstance(one, (str, os.PathLike)) and is_wrong(os.fspath(one)):
                return os.fspath(one)
    return None


def _names_model(value: str) -> bool:
    return is_model_file(value) or (value in pretrained.names() and not Path(value).exists())


def _exchange(value: object, other: Mapping[str, str]) -> Any:
    """A value as a hint shows it, with the two paths exchanged; an array is a word in capitals."""
    if isinstance(value, (list, tuple)):
        return type(value)(_exchange(one, other) for one in value)
    if isinstance(value, (str, os.PathLike)):
        return other.get(os.fspath(value), os.fspath(value))
    return value if isinstance(value, (bool, int, float)) else type(value).__name__.upper()
