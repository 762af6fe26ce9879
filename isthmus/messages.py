"""Texts for users that keep their parts: a stable id, and the values in the sentence by name.

    Message("{path}: no such file", id="file.missing", path="photos/a.png")

It is the finished sentence, a `str`. Its `id` and `fields` are data, so that a page can show it in another
language. Errors, notes and the reasons of skipped inputs are such messages; docs/reference/errors.md lists
them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.wording import CountText


class Message(str):
    """A sentence with a stable id and fields.

    Attributes:
        template: the sentence with `{name}` for each field, formatted as by `str.format`.
        id: names this kind of sentence: lower-case words with dots and hyphens, `data.no-labels`.
        fields: JSON values by name. A value that is a message or an error is stored as
            `{"id", "text", "fields"}`, a counted noun ("3 images") as its number.

    >>> text = Message("{path}: {images} of 40", id="set.size", path="photos", images=12)
    >>> text, text.fields
    ('photos: 12 of 40', {'path': 'photos', 'images': 12})
    """

    template: str
    id: str
    fields: dict[str, Any]

    def __new__(cls, template: str, /, *, id: str = "message", **fields: object) -> Message:
        """A template without fields is the sentence itself, even with braces in it."""
        self = super().__new__(cls, template.format(**fields) if fields else template)
        self.template = template
        self.id = id
        self.fields = {name: to_field(value) for name, value in fields.items()}
        return self

    def without_prefix(self, prefix: str) -> Message:
        """The same without `prefix` at its beginning: with this id and these fields."""
        other = Message(self.removeprefix(prefix), id=self.id)
        other.fields = self.fields
        return other

    def to_dict(self) -> dict[str, Any]:
        """JSON values: `id`, `text`, `fields`."""
        return {"id": self.id, "text": str.__str__(self), "fields": self.fields}


def as_message(text: str, *, id: str = "message") -> Message:
    """`text` if it is a message, else a message with this text."""
    return text if isinstance(text, Message) else Message(text, id=id)


def to_field(value: object) -> Any:
    """`value` as a JSON value; what has no such form, as text. NaN and infinities are None.

    >>> to_field((3, CountText("2 images", 2), float("nan")))
    [3, 2, None]
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Message):
        return value.to_dict()
    if isinstance(value, CountText):
        return to_field(value.number)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, BaseException):
        message = getattr(value, "message", None)
        return message.to_dict() if isinstance(message, Message) else str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {str(key): to_field(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [to_field(item) for item in value]
    as_list = getattr(value, "tolist", None)  # numbers and arrays of NumPy and torch
    return to_field(as_list()) if callable(as_list) else str(value)


def describe_messages(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The data that a file stores with texts so that `restore_message` can restore their ids and fields."""
    return {str(text): {"id": text.id, "fields": text.fields} for text in texts if isinstance(text, Message)}


def restore_message(text: str, described: object) -> str:
    """The message that `describe_messages` described; `text` itself where nothing (sound) is known of it."""
    description = described.get(text) if isinstance(described, Mapping) else None
    if not isinstance(description, Mapping):
        return text
    id, fields = description.get("id"), description.get("fields")
    if not isinstance(id, str) or not isinstance(fields, Mapping):
        return text
    message = Message(text, id=id)
    message.fields = dict(fields)
    return message
