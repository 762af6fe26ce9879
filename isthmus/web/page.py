"""Shared by all views: the models, the images, the pictures, and the job queue."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.errors import DataError, IsthmusError, UsageError
from isthmus.web.data_folder import DataFolder
from isthmus.web.jobs import JobQueue
from isthmus.web.store import FileStore

if TYPE_CHECKING:
    import numpy.typing as npt

    from isthmus.api.picture_views import Autoencoder, Picture

MAX_LOADED_MODELS = 4
MAX_PIXELS = 24_000_000


@dataclass(frozen=True)
class ModelEntry:
    """A model that the page offers: a path or the name of a shipped one, and the facts of its header."""

    name: str
    source: str
    facts: Mapping[str, Any]


class Page:
    """The state behind the page.

    Args:
        models: paths or names of shipped models.
        data: folder of images, or None.
        out: folder for models that are trained on the page.
        max_pixels: of an image.
    """

    def __init__(
        self,
        models: Sequence[str] = (),
        data: str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] = ".",
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.data = DataFolder(data)
        self.out = Path(out)
        self.max_pixels = max_pixels
        self.files = FileStore(self.scratch)
        self.jobs = JobQueue()
        self._given = list(models)
        self._entries: OrderedDict[str, ModelEntry] = OrderedDict()
        self._loaded: OrderedDict[str, tuple[tuple[int, int], Autoencoder]] = OrderedDict()
        self._cache: OrderedDict[Any, Any] = OrderedDict()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._shipped = False
        self._lock = threading.Lock()
        for source in self._given:
            self.add_model(source)

    def add_model(self, source: str) -> ModelEntry:
        """Offer a model; only its header is read.

        Raises:
            ModelFileError, UsageError: it is none.
        """
        from isthmus.api.inspection import ModelInfo, inspect_file

        info = inspect_file(source)
        if not isinstance(info, ModelInfo):
            raise UsageError("{path} is not a model file", id="page.not-a-model", path=source)
        name = Path(source).name.removesuffix(".safetensors")
        with self._lock:
            entry_of_name = self._entries.get(name)
            number = 2
            while entry_of_name is not None and entry_of_name.source != source:
                name = f"{name.rstrip('0123456789').rstrip('-')}-{number}"
                entry_of_name, number = self._entries.get(name), number + 1
            entry = ModelEntry(name, source, _describe(info))
            self._entries[name] = entry
        return entry

    def models(self) -> list[ModelEntry]:
        """Those that were given or trained here, then the shipped ones."""
        self._add_shipped()
        with self._lock:
            return list(self._entries.values())

    def _add_shipped(self) -> None:
        if self._shipped:  # their cards take milliseconds to read, and do not change
            return
        from isthmus.api.catalogue import list_models

        names = set(self._entries)
        for card in list_models().models:
            if card["name"] not in names:
                self.add_model(card["name"])
        self._shipped = True

    def model(self, name: str) -> Autoencoder:
        """A loaded model by its name on the page; a file that has changed is read again.

        Raises:
            UsageError: the page has no such model.
            ModelFileError: it can no longer be read.
        """
        from isthmus.api.inputs import load_model

        source = self.source(name)
        stamp = _stamp(source)
        with self._lock:
            if name in self._loaded and self._loaded[name][0] == stamp:
                self._loaded.move_to_end(name)
                return self._loaded[name][1]
        network = load_model(source)
        with self._lock:
            self._loaded[name] = (stamp, network)
            while len(self._loaded) > MAX_LOADED_MODELS:
                self._loaded.popitem(last=False)
        return network

    def source(self, name: str) -> str:
        """The path or shipped name of a model.

        Raises:
            UsageError: the page has no such model.
        """
        with self._lock:
            entry = self._entries.get(name)
        if entry is None:
            self._add_shipped()
            entry = self._entries.get(name)
        if entry is None:
            raise UsageError("there is no model '{name}'", id="page.no-model", name=name)
        return entry.source

    def image(self, reference: str) -> bytes | Path:
        """The file behind `data:PATH` or the id of an upload.

        Raises:
            UsageError: there is none.
        """
        if reference.startswith("data:"):
            return self.data.resolve(reference.removeprefix("data:"))
        return self.files.get(reference).content

    def picture(self, reference: str, *, colour: bool | None = None) -> Picture:
        """The pixels of an image, `(H, W, C)` uint8.

        Raises:
            UsageError: there is no such image.
            DataError: it cannot be read, or is too large.
        """
        from isthmus.api.picture_views import read_picture

        source = self.image(reference)
        try:
            return read_picture(source, max_pixels=self.max_pixels, colour=colour)
        except MemoryError:
            raise DataError("there is not enough memory for this image", id="page.memory") from None

    def show(self, pixels: npt.NDArray[Any], name: str = "picture.png") -> dict[str, Any]:
        """Keep a picture for the browser: its address and size."""
        from isthmus.api.picture_views import encode_picture

        key = self.files.add(encode_picture(pixels), "image/png", name)
        return {"url": f"/api/files/{key}", "id": key, "width": pixels.shape[1], "height": pixels.shape[0]}

    def remember(self, key: Any, value: Any) -> Any:
        """Store a value of a view for later requests; the last four of all views are stored."""
        with self._lock:
            self._cache[key] = value
            self._cache.move_to_end(key)
            while len(self._cache) > 4:
                self._cache.popitem(last=False)
        return value

    def recall(self, key: Any) -> Any:
        """The value that `remember` stored for `key`, or None."""
        with self._lock:
            return self._cache.get(key)

    def scratch(self) -> Path:
        """A folder for this run of the server: uploads, pictures, indices; it goes with the page."""
        with self._lock:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="isthmus-page-")
            return Path(self._scratch.name)

    def close(self) -> None:
        """Stop the job queue, and remove the files of this run."""
        self.jobs.close()
        with self._lock:
            if self._scratch is not None:
                self._scratch.cleanup()
                self._scratch = None


def describe_error(error: Exception) -> dict[str, Any]:
    """`id`, `text`, `fields` and `hint` of any error; of a fault of the program no details."""
    if isinstance(error, IsthmusError):
        return error.to_dict()
    if isinstance(error, MemoryError):
        return DataError("there is not enough memory for this image", id="page.memory").to_dict()
    fault = UsageError("internal error ({kind})", id="page.fault", kind=type(error).__name__)
    return fault.to_dict()


def _stamp(source: str) -> tuple[int, int]:
    try:
        status = Path(source).stat()
    except OSError:  # a shipped one
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _describe(info: Any) -> dict[str, Any]:
    data = _mapping(info.training.get("data"))
    return {
        "recipe": str(info.recipe.get("name", "")),
        "code": info.code,
        "size": list(info.size),
        "channels": info.channels,
        "bytes": info.bytes,
        "grid": "@" in info.code,
        "corruption": str(_mapping(info.recipe.get("corruption")).get("kind", "none")),
        "bottleneck": str(_mapping(info.recipe.get("bottleneck")).get("kind", "")),
        "classes": [str(label) for label in data.get("classes") or ()],
        "data": str(data.get("source") or ""),
        "guided": _is_guided(info.attachments),
    }


def _is_guided(attachments: Mapping[str, Any]) -> bool:
    """Whether the prior that images are drawn from can pronounce its classes."""
    learned = [name for name in ("prior/attention", "prior/flow") if name in attachments]
    return bool(learned and _mapping(attachments[learned[0]]).get("unguided"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
