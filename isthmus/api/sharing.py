"""Models for others: as ONNX files, in a folder, or on a model hub."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from isthmus.api.inputs import MODEL_SUFFIX, ModelLike, PathLike, describe_model, load_model
from isthmus.api.result import Result, use
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.model.export.onnx import ExportedFile


@dataclass(frozen=True, kw_only=True, repr=False)
class ExportedModel(Result):
    """ONNX files of a model, and how they were checked.

    Attributes:
        model: the model, as it was given.
        files: each with `part` (`encoder`, `decoder`, or `whole` for a model with skips), `path`, `bytes`,
            names of its `input` and `output`, `shape` of the input (names where a side is free), `step` (free
            sides are multiples of it), `error` (largest difference from torch) and the shapes that were
            `checked`.
        tolerance: no `error` is larger.
    """

    schema: ClassVar[str] = "isthmus.export/1"

    model: str
    files: tuple[ExportedFile, ...]
    tolerance: float

    def rows(self) -> tuple[list[str], list[list[object]]]:
        rows: list[list[object]] = [
            [f.path, f"{f.input} ({', '.join(map(str, f.shape))})", f.step, f.output, f.error]
            for f in self.files
        ]
        return ["file", "input", "step", "output", "largest error"], rows


@dataclass(frozen=True, kw_only=True, repr=False)
class SharedModel(Result):
    """A model that was shared.

    Attributes:
        model: the model, as it was given; of a model that was fetched, the file that it is in.
        place: as it was given.
        url: a folder's path, or the address of the model in a repository.
        bytes: size of the model file.
    """

    model: str
    place: str
    url: str
    bytes: int


@dataclass(frozen=True, kw_only=True, repr=False)
class PushedModel(SharedModel):
    """A model that was written to a folder or a hub."""

    schema: ClassVar[str] = "isthmus.push/1"

    def table(self, rows: int | None = None) -> str:  # noqa: ARG002
        return f"{self.model} is at {self.url} ({format_count(self.bytes, 'byte')})"


@dataclass(frozen=True, kw_only=True, repr=False)
class PulledModel(SharedModel):
    """A model that was fetched from a folder or a hub."""

    schema: ClassVar[str] = "isthmus.pull/1"

    def table(self, rows: int | None = None) -> str:  # noqa: ARG002
        return f"model: {self.model} ({format_count(self.bytes, 'byte')})"


@rename_keywords(path="out")
@use
def export_onnx(
    model: ModelLike, out: PathLike | None = None, *, force: bool = False, progress: Progress | None = None
) -> ExportedModel:
    """Write a model as ONNX files, `NAME.encoder.onnx` and `NAME.decoder.onnx`, for programs without Python.

    Images are `(N, C, H, W)` float32 in [0, 1], any number of them, and of any size where the code is a grid.
    ONNX Runtime runs each file at two shapes that were not used in the export, and it is written only if it
    computes what the model does to within 1e-5. A model with skips is one file, `NAME.onnx`. Needs the extra
    `onnx`.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        out: `NAME.onnx` or `NAME`; by default named after the model file, in the same folder.
        force: overwrite files that exist.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        ExportError: a file computes something else, or the model has a part that cannot be written.
        ExistsError, OutputError: a file exists, or cannot be written.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((16, 8, 8, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="2", steps=2)
        >>> [file.part for file in isthmus.export_onnx(model, "small.onnx", force=True).files]
        ['encoder', 'decoder']
    """
    network = load_model(model)
    from isthmus.model.export.onnx import TOLERANCE, write_onnx

    name = describe_model(model, network)
    path = f"{name.removesuffix(MODEL_SUFFIX)}.onnx" if out is None else out
    with start_task(progress, "exporting", 1) as task:
        files = write_onnx(network, path, force=force)
        task.update(1)
    return ExportedModel(model=name, files=files, tolerance=TOLERANCE)


@use
def push(
    model: ModelLike,
    place: str,
    *,
    private: bool = False,
    message: str = "",
    force: bool = False,
    progress: Progress | None = None,
) -> PushedModel:
    """Share a model in a folder (`./name`), or in a repository `OWNER/NAME` of the Hugging Face hub.

    The model file is written and a card that describes it. The path of the training images on this machine is
    left out of both. A hub needs the extra `hub` and a token (`hf auth login`).

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        place: a folder, or `OWNER/NAME`.
        private: a new repository is not public.
        message: of the commit in a repository; by default "An isthmus model".
        force: replace a model in a folder. A repository keeps its history anyway.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        ModelFileError: not a model.
        UsageError: `place` is neither a folder nor a repository.
        ExistsError, OutputError: the folder holds a model, or cannot be written.
        MissingExtraError: a hub is meant, and `huggingface_hub` is not installed.
        HubError: the hub cannot be reached, or refuses.

    Examples:
        >>> import isthmus
        >>> isthmus.push("photo-codec", "./shared-codec", force=True).bytes > 1_000_000
        True
    """
    from isthmus.model.hub import push_model
    from isthmus.model.loading import resolve_model_path

    with tempfile.TemporaryDirectory() as folder, start_task(progress, f"writing to {place}", 1) as task:
        if isinstance(model, (str, os.PathLike)):
            path, name = resolve_model_path(model), os.fspath(model)
        else:
            path, name = Path(folder, f"model{MODEL_SUFFIX}"), model.recipe.name
            model.save(path)
        shared = push_model(path, place, private=private, message=message, force=force)
        task.update(1)
    return PushedModel(model=name, place=place, url=shared.url, bytes=shared.bytes)


@use
def pull(
    place: str,
    out: PathLike | None = None,
    *,
    revision: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> PulledModel:
    """Fetch a model that was shared in a folder (`./name`), or in a repository `OWNER/NAME` of a hub.

    It is loaded before it gets its name; a model file holds numbers only, and cannot run code.

    Args:
        place: a folder, or `OWNER/NAME`.
        out: the model file; by default named after `place`, in the current folder.
        revision: a branch, tag or commit of a repository.
        force: overwrite a file that exists.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        ModelFileError: there is no model at `place`.
        UsageError: `place` is neither a folder nor a repository.
        ExistsError, OutputError: the file exists, or cannot be written.
        MissingExtraError: a hub is meant, and `huggingface_hub` is not installed.
        HubError: the hub cannot be reached, or refuses.

    Examples:
        >>> import isthmus
        >>> place = isthmus.push("photo-codec", "./shared-codec", force=True).place
        >>> isthmus.pull(place, "pulled.safetensors", force=True).model
        'pulled.safetensors'
    """
    from isthmus.model.hub import pull_model

    path = f"{place.rstrip('/').rpartition('/')[2]}{MODEL_SUFFIX}" if out is None else os.fspath(out)
    with start_task(progress, f"fetching from {place}", 1) as task:
        shared = pull_model(place, path, revision=revision, force=force)
        task.update(1)
    return PulledModel(model=path, place=place, url=shared.url, bytes=shared.bytes)
