"""`isthmus.load`: a model by a path, by the name of a shipped model, or as an object.

The only place where this is decided: every `model=` argument comes here. A path that exists wins over a name.

    model = isthmus.load("photos.safetensors")
    model = isthmus.load("photo-codec")        # `isthmus models` lists those that are shipped
"""

from __future__ import annotations

import copy
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from isthmus import pretrained
from isthmus.errors import Hint, ModelFileError, UsageError, nearest
from isthmus.input_files import is_folder, is_there
from isthmus.old_keywords import rename_keywords

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder

ModelLike: TypeAlias = "str | os.PathLike[str] | Autoencoder"
SUFFIX = ".safetensors"
NO_MODELS = (".resume.safetensors", ".isthmus-index.safetensors")


@rename_keywords(path="model")
def load(model: ModelLike) -> Autoencoder:
    """The model that is meant, ready to use (evaluation mode, CPU, float32).

    Args:
        model: the path of a model file, the name of a shipped model, or an `Autoencoder`, which is returned
            as it is. A path that exists wins over a name.

    Returns:
        A model of the caller's own: changing it changes neither the file nor what another call gives.

    Raises:
        ModelFileError: missing, not a model file, damaged, or from a later version.
        UsageError: no shipped model has this name; or these are images.

    Examples:
        >>> import isthmus
        >>> isthmus.load("photo-codec").recipe.name
        'codec'
    """
    shared = load_shared(model)
    return shared if shared is model or not _is_shipped(model) else copy.deepcopy(shared)


def load_shared(model: ModelLike) -> Autoencoder:
    """As `load`, but a shipped model is read once and is the same object in every call: never change it."""
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.model.file import read_model

    if isinstance(model, Autoencoder):
        return model
    path = resolve_model_path(model)
    return _read_shipped(os.fspath(model)) if _is_shipped(model) else read_model(path)


def resolve_model_path(model: ModelLike, *, to_change: bool = False) -> Path:
    """The file of the model that is meant, without torch and without reading it.

    Args:
        model: as for `load`.
        to_change: the file will be changed, which is not allowed for shipped models.

    Raises:
        ModelFileError: there is no such file.
        UsageError: no shipped model has this name; these are images; a model in memory, which has no file; or
            `to_change` and it is a shipped one.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(
            "a model in memory has no file: save it first and give the path", id="model.in-memory"
        )
    name = os.fspath(model)
    if not name:  # an unset variable of a shell
        raise UsageError(
            "the model is empty: give a path or a name", id="model.empty-name", hint=Hint.call("list_models")
        )
    if is_folder(name):
        _check_folder(name)
    if holds_images(name):
        raise UsageError(
            "{name} is not a model file but images",
            id="model.is-images",
            hint=Hint.call("train", name),
            name=name,
        )
    if _is_shipped(name):
        if to_change:
            raise UsageError(
                "{name} comes with isthmus and is not changed: save a copy and give its path",
                id="model.shipped",
                hint=Hint(f"copy {pretrained.path(name)} and give the copy's path"),
                name=name,
            )
        return pretrained.path(name)
    path = Path(name)
    if is_there(name):
        return path
    if path.suffix == SUFFIX or path.name != name:
        close = nearest(path.stem, pretrained.names()) if path.name == name else ""
        guess = close if "did you mean" in close else ""
        raise ModelFileError(
            "there is no model file {name}{suggestion}",
            id="model-file.missing",
            hint=Hint.call("list_models") if guess else None,
            name=name,
            suggestion=guess,
        )
    suggestion = nearest(name, pretrained.names())
    raise UsageError(
        "{name} is neither a model file nor a shipped model{suggestion}",
        id="model.unknown",
        hint=Hint.call("list_models"),
        name=name,
        suggestion=suggestion,
    )


def _check_folder(name: str) -> None:
    """Raises:
    UsageError: a folder of compressed images, of models, or of neither these nor images.
    DataError: it cannot be listed.
    """
    from isthmus.images.listing import walk_folder
    from isthmus.images.opening import SUFFIXES

    if (file := _first_file(name, ".isth")) is not None:
        raise UsageError(
            "{name} is a folder of compressed images, but one model file is expected",
            id="model.is-compressed-images",
            hint=Hint.call("inspect_file", file),
            name=name,
        )
    if (file := _first_file(name, SUFFIX)) is not None:
        raise UsageError(
            "{name} is a folder of model files, but one model file is expected",
            id="model.is-folder-of-models",
            hint=Hint.call("inspect_file", file),
            name=name,
        )
    below = (file for _, _, files in walk_folder(Path(name), []) for file in files)
    kinds_read = (*SUFFIXES, ".npy", ".npz", ".tar", "-ubyte", "-ubyte.gz")
    if any(file.lower().endswith(kinds_read) for file in below):
        return
    raise UsageError(
        "{name} is a folder without models and images",
        id="model.is-folder-of-neither",
        hint=Hint("give a model file, the name of a shipped model, or for a training a folder of images"),
        name=name,
    )


def _first_file(folder: str, suffix: str) -> str | None:
    files = (os.fspath(path) for path in Path(folder).glob(f"*{suffix}"))
    return min((file for file in files if not file.endswith(NO_MODELS)), default=None)


def holds_images(model: str) -> bool:
    """Whether this is a folder, an image file, an array file or a named data set rather than a model."""
    if is_folder(model):
        return True
    path = Path(model)
    if path.suffix == SUFFIX or _is_shipped(model):
        return False
    # The modules that know the names of images load NumPy and Pillow, so they are called last.
    if is_there(model):
        from isthmus.images.opening import SUFFIXES

        return path.suffix.lower() in (*SUFFIXES, ".npy", ".npz", ".gz", ".tar", ".zip")
    from isthmus.images.named import NAMES

    return re.split(r"[:\[]", model, maxsplit=1)[0] in NAMES


def _is_shipped(model: object) -> bool:
    if not isinstance(model, (str, os.PathLike)):
        return False
    return os.fspath(model) in pretrained.names() and not is_there(model)


@lru_cache(maxsize=4)
def _read_shipped(name: str) -> Autoencoder:
    from isthmus.model.file import read_model

    return read_model(pretrained.path(name))
