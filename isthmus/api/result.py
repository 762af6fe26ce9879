"""`Result`: what a use returns. It shows itself as a table, a JSON document, a file or a notebook's cell."""

from __future__ import annotations

import functools
import inspect
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar

from isthmus.errors import MissingExtraError, UsageError
from isthmus.escaping import csv_text
from isthmus.images.bands import Bands, showing_bands, shown_bands
from isthmus.interruption import NOTE_ID, inside_use
from isthmus.log import SkippedInput, collect_notes, collected_notes
from isthmus.messages import as_message
from isthmus.outputs import check_output

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")
Row = Sequence[object]


def keys(*names: str, **attributes: str) -> dict[str, str]:
    """A document of attributes under their own names, and of others -> the attribute under another name."""
    return {name: name for text in names for name in text.split()} | attributes


def use(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
    """Decorate a function of the api: it reports exchanged model and images, collects notes, runs
    with the number of threads that is set, and the outermost one keeps what is done at Ctrl-C
    (`isthmus.interruption`).
    """

    @functools.wraps(function)
    def call(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Returned:
        from isthmus.api.corrected_calls import correcting_calls
        from isthmus.threads import limited

        show: Any = options.get("show")
        correcting = correcting_calls(function, args, options)
        with correcting, collect_notes(), limited(), showing_bands(show), inside_use():
            return function(*args, **options)

    return call


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """Base of all results.

    A subclass names its document's `schema` and in `document` the attributes that go into it. It overrides
    `rows` for a table, and `csv_rows`, `arrays`, `draw` or `page` for what else it can be saved as. A result
    holds paths and models, never the pixels of a whole set; pictures are made on request.

    Attributes:
        complete: whether everything was done; after Ctrl-C the result holds the finished part.
        notes: choices made for the user, one sentence each.
        note_details: the same with `id`, `text` and `fields`, see docs/reference/errors.md.
        skipped: inputs that were left out, with the reason.
    """

    schema: ClassVar[str]
    document: ClassVar[Mapping[str, str]]
    """Key of the JSON document -> attribute that it comes from, in order; by default all own fields."""
    formats: ClassVar[tuple[str, ...]] = (".json",)
    """Suffixes that `save` accepts."""
    as_folder: ClassVar[bool] = False
    """Whether `save` also writes a folder of files, where the path has no such suffix."""
    output_keys: ClassVar[Mapping[str, str]] = {".png": "picture", ".html": "report"}
    """Suffix of a saved file -> key of a command's document that names it; all other files are `out`."""
    file_facts: ClassVar[Mapping[str, str]] = {}
    """Further keys of a command's document, which `describe_files` gives -> what they hold."""

    complete: bool = True
    notes: tuple[str, ...] = field(default_factory=collected_notes)
    skipped: tuple[SkippedInput, ...] = ()
    _bands: Bands | None = field(default_factory=shown_bands, repr=False)

    def __init_subclass__(cls, **options: Any) -> None:
        """Pictures are drawn with the bands of images that were chosen by `show`."""
        super().__init_subclass__(**options)
        if "schema" in vars(cls) and not hasattr(cls, "document"):
            bases = [base for base in reversed(cls.__mro__) if not issubclass(Result, base)]
            kinds = {name: kind for base in bases for name, kind in inspect.get_annotations(base).items()}
            own = (name for name, kind in kinds.items() if "ClassVar" not in kind and name[0] != "_")
            cls.document = keys(*own)
        for name in ("draw", "page", "save"):
            if name in vars(cls):
                setattr(cls, name, _with_bands(vars(cls)[name]))

    @property
    def interruption(self) -> str | None:
        """The note with the amount that was done until Ctrl-C; None without Ctrl-C."""
        return next((note for note in self.notes if getattr(note, "id", "") == NOTE_ID), None)

    @property
    def incomplete(self) -> tuple[SkippedInput, ...]:
        """Inputs that were skipped or of which not everything was done; with any the exit code is 3."""
        return self.skipped

    @property
    def note_details(self) -> list[dict[str, Any]]:
        """`id`, `text` and `fields` of each note, see docs/reference/errors.md."""
        return [as_message(note, id="note").to_dict() for note in self.notes]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: plain values only; NaN and infinities are None."""
        values = {key: to_json_value(getattr(self, name)) for key, name in self.document.items()}
        shared = {
            "complete": self.complete,
            "notes": list(map(str, self.notes)),
            "note_details": self.note_details,
            "skipped": to_json_value(self.skipped),
        }
        return {"schema": self.schema, **values, **shared}

    def rows(self) -> tuple[Sequence[str], Sequence[Row]]:
        """Header and rows of the table; by default the single values of the document."""
        items = self.to_dict().items()
        hidden = {"schema", "complete"} if self.complete else {"schema"}
        values = [(key, value) for key, value in items if key not in hidden and _is_single(value)]
        return ("what", "value"), values

    def table(self, rows: int | None = None) -> str:
        """Rows for a terminal, numbers to the right.

        Args:
            rows: at most this many.
        """
        from isthmus.reports.tables import format_table

        header, body = self.rows()
        return format_table(header, body[:rows])

    def summary(self) -> str:
        """One line that summarises the result; may be empty."""
        return ""

    def csv_rows(self) -> tuple[Sequence[str], Sequence[Row]]:
        """Header and rows of the CSV file, one row per image."""
        raise NotImplementedError

    def arrays(self) -> dict[str, Any]:
        """Arrays by name, for `.npz`."""
        raise NotImplementedError

    def draw(self) -> bytes:
        """A picture as PNG."""
        raise NotImplementedError

    def page(self) -> str:
        """A self-contained HTML page."""
        raise NotImplementedError

    @classmethod
    def check_path(cls, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Check before the work that `save` can write there later.

        Raises:
            UsageError: a suffix that this result cannot be saved as.
            ExistsError, OutputError: see `isthmus.outputs.check_output`.
        """
        cls._check_place(path, force=force)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the result to one file, in the format that the suffix names, atomically.

        Args:
            path: ends with one of `formats`.
            force: replace an existing file.

        Raises:
            UsageError, ExistsError, OutputError: see `check_path`.
        """
        self.check_path(path, force=force)
        self._write(path, force=force)
        return Path(path)

    @classmethod
    def _check_place(cls, path: str | os.PathLike[str], *, force: bool) -> None:
        """Check that the result can be written to this path."""
        suffix = Path(path).suffix.lower()
        if suffix not in cls.formats:
            suffixes = ", ".join(cls.formats)
            raise UsageError(
                "{path}: the file name must end with one of {known}",
                id="output.suffix",
                path=path,
                known=suffixes,
            )
        if suffix == ".parquet" and find_spec("pyarrow") is None:
            raise MissingExtraError("writing Parquet", "parquet")
        check_output(path, force=force)

    def _write(self, path: str | os.PathLike[str], *, force: bool, scale: int | None = None) -> None:  # noqa: ARG002
        """Write to a path that is checked; only pictures have a `scale`."""
        from isthmus.atomic import write_bytes

        write_bytes(path, self._encode(Path(path).suffix.lower()), force=force)

    def _encode(self, suffix: str) -> bytes:
        if suffix == ".csv":
            header, rows = self.csv_rows()
            return csv_text(header, rows).encode("utf-8", "surrogateescape")
        if suffix == ".npz":
            import numpy as np

            stream = io.BytesIO()
            np.savez(stream, **self.arrays())
            return stream.getvalue()
        if suffix == ".parquet":
            return _parquet(self.arrays())
        if suffix == ".png":
            return self.draw()
        if suffix == ".html":
            return self.page().encode("utf-8", "replace")
        return (json.dumps(self.to_dict(), allow_nan=False, indent=2) + "\n").encode()

    def describe_files(self, paths: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Entries of a command's document about the files that the result was saved to, see `file_facts`."""
        return {}

    def __repr__(self) -> str:
        """One line: the class and its single values."""
        singles = [
            f"{key}={value!r}"
            for key, value in self.to_dict().items()
            if key != "schema" and (key, value) != ("complete", True)
            if _is_single(value) and len(str(value)) <= 40
        ]
        return f"{type(self).__name__}({', '.join(singles)})"

    def _repr_html_(self) -> str:
        import html

        picture = ""
        if ".png" in self.formats:
            from base64 import b64encode

            picture = f'<img src="data:image/png;base64,{b64encode(self.draw()).decode()}" alt="">'
        text = "\n".join(filter(None, (self.table(20), self.summary())))
        return f"<div>{picture}<pre>{html.escape(text)}</pre></div>"


def _with_bands(method: Callable[..., _Returned]) -> Callable[..., _Returned]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> _Returned:
        with showing_bands(self._bands):
            return method(self, *args, **options)

    return call


@dataclass(frozen=True, kw_only=True, repr=False)
class PictureResult(Result):
    """Base of results with a picture, which can be enlarged; a subclass overrides `draw`."""

    def draw(self, scale: int | None = None) -> bytes:
        """A picture as PNG.

        Args:
            scale: enlarge it by this whole factor; by default small images are enlarged so that they can be
                seen.
        """
        raise NotImplementedError

    @classmethod
    def is_enlarged(cls, path: str | os.PathLike[str]) -> bool:
        """Whether what is saved there is a picture, which `scale` enlarges, and no data."""
        return Path(path).suffix.lower() == ".png"

    @classmethod
    def check_path(
        cls, path: str | os.PathLike[str], *, force: bool = False, scale: int | None = None
    ) -> None:
        """Check before the work that `save` can write there later.

        Raises:
            UsageError: a scale below 1, or a scale for what is no picture.
            UsageError, ExistsError, OutputError: see `Result.check_path`.
        """
        check_scale(cls.is_enlarged(path), path, scale)
        cls._check_place(path, force=force)

    def save(self, path: str | os.PathLike[str], *, force: bool = False, scale: int | None = None) -> Path:
        """Write the result to one file, in the format that the suffix names, atomically.

        Args:
            path: ends with one of `formats`; for some results also a folder, see their class.
            force: replace existing files.
            scale: enlarge a picture by this whole factor; by default small images are enlarged so that they
                can be seen.

        Raises:
            UsageError, ExistsError, OutputError: see `check_path`.
        """
        self.check_path(path, force=force, scale=scale)
        self._write(path, force=force, scale=scale)
        return Path(path)

    def _write(self, path: str | os.PathLike[str], *, force: bool, scale: int | None = None) -> None:
        from isthmus.atomic import write_bytes

        if scale is None:
            super()._write(path, force=force)
        else:
            write_bytes(path, self.draw(scale), force=force)


def check_scale(is_enlarged: bool, path: str | os.PathLike[str], scale: int | None) -> None:
    """Raises:
    UsageError: a scale below 1, or one for what is no picture.
    """
    if scale is None:
        return
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise UsageError(
            "scale={scale}: expected a whole number of at least 1", id="option.scale", scale=scale
        )
    if not is_enlarged:
        raise UsageError(
            "scale has no effect on {path}, which is no picture",
            id="option.scale-no-effect",
            path=os.fspath(path),
        )


def skipped_inputs(*groups: Sequence[Any]) -> tuple[SkippedInput, ...]:
    """The inputs that sets or listings left out (anything with `name` and `reason`), each once."""
    pairs = dict.fromkeys((item.name, item.reason) for group in groups for item in group)
    return tuple(SkippedInput(*pair) for pair in pairs)


def to_json_value(value: object) -> Any:
    """`value` as JSON has it: dicts with text keys, lists, text, finite numbers, true, false, null.

    Raises:
        TypeError: something that has no such form.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "to_dict"):  # a value with its own document, such as another result
        return to_json_value(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json_value(getattr(value, f.name)) for f in fields(value)}
    # NumPy's and torch's scalars and arrays, without importing either.
    as_list = getattr(value, "tolist", None)
    if as_list is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return to_json_value(as_list())


def _is_single(value: object) -> bool:
    return value is not None and not isinstance(value, (list, dict))


def _parquet(arrays: Mapping[str, Any]) -> bytes:
    """A row per image; an array `(N, d)` becomes a column of lists, `classes` are put in for `labels`."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, Any] = {}
    names = {"names": "name", "vectors": "vector"}
    for key in ("names", *(key for key in arrays if key not in ("names", "vectors")), "vectors"):
        if key not in arrays or key == "classes":
            continue
        array = arrays[key]
        if key == "labels":
            columns["label"] = pyarrow.array([arrays["classes"][label] for label in array])
        elif array.ndim == 2:
            flat = pyarrow.array(array.reshape(-1))
            columns[names.get(key, key)] = pyarrow.FixedSizeListArray.from_arrays(flat, array.shape[1])
        else:
            columns[names.get(key, key)] = pyarrow.array(array)
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()
