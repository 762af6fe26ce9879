"""Renaming names in a file when it is read, and back when it is written or hashed.

`Renames` is for the keys and values of a JSON document, `PathRenames` for dotted names such as those of
tensors. Both hold pairs (stored name, current name). `current` translates what a file holds into the names
the code uses and accepts current names as well; `stored` is its inverse.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class PathRenames:
    """Renames of dotted names by prefix.

    Attributes:
        rules: pairs (stored, current) of leading parts, whole parts only: `("encoder.stages", "encoder.x")`
            renames `encoder.stages.0.weight`. `*` stands for any one part and is kept; a leading `**` for any
            number of parts. Rules apply in order, each to the result of those before.
    """

    rules: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for stored, current in self.rules:
            if stored.count("*") != current.count("*"):
                raise ValueError(f"{stored} and {current} have different numbers of '*'")

    def current(self, name: str) -> str:
        for stored, current in self.rules:
            name = _replace_prefix(name, stored, current)
        return name

    def stored(self, name: str) -> str:
        for stored, current in reversed(self.rules):
            name = _replace_prefix(name, current, stored)
        return name


def _replace_prefix(name: str, before: str, after: str) -> str:
    path, mark, suffix = name.partition("::")  # the steps of an 8-bit tensor are `NAME::step`
    parts = path.split(".")
    pattern, replacement = before.split("."), after.split(".")
    starts = range(1)
    if pattern[0] == "**":
        pattern, replacement = pattern[1:], replacement[1:]
        starts = range(len(parts))
    for start in starts:
        here = parts[start : start + len(pattern)]
        if len(here) == len(pattern) and all(w in ("*", p) for w, p in zip(pattern, here, strict=True)):
            wildcards = iter([p for w, p in zip(pattern, here, strict=True) if w == "*"])
            new = [next(wildcards) if part == "*" else part for part in replacement]
            return ".".join(parts[:start] + new + parts[start + len(pattern) :]) + mark + suffix
    return name


@dataclass(frozen=True)
class Renames:
    """Renames of keys and values in a JSON document.

    A path names a key by its parents, `a.b.c`, all of them under their stored names. `a[]` goes through each
    item of a list, `a:l1` through the object `a` only where its `kind` is the one stored as `l1`.

    Attributes:
        keys: stored path → current path, or None where the key is no longer read. A path that goes through
            `[]` may change in its last part only.
        values: path → stored value → current value.
        default_kinds: the kind of an object without one.
    """

    keys: Mapping[str, str | None] = field(default_factory=dict)
    values: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    default_kinds: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stored, current in self.keys.items():
            if current is not None and "[]" in stored and _parent(stored) != _parent(current):
                raise ValueError(f"{stored} goes through a list and cannot move to {current}")
            if current in self.keys:
                raise ValueError(f"{current} is both a stored and a current name")

    def current(self, document: Mapping[str, Any]) -> Document:
        """The document under current names.

        Raises:
            ValueError: it holds a key under both names.
        """
        steps = [step for _, step in self._steps(back=False)]
        return _changed(document, steps)

    def stored(self, document: Mapping[str, Any]) -> Document:
        """The inverse of `current`; keys that are no longer read are not written."""
        steps = [step for _, step in reversed(self._steps(back=True))]
        return _changed(document, steps)

    def _steps(self, *, back: bool) -> list[tuple[tuple[int, int], Callable[[Document], None]]]:
        """In the order for reading: values, keys from the deepest on; kinds after the keys below them."""
        steps: list[tuple[tuple[int, int], Callable[[Document], None]]] = []
        for path, table in self.values.items():
            order = (2, 0) if path.endswith(".kind") else (0, 0)
            pairs = {new: old for old, new in table.items()} if back else dict(table)
            steps.append((order, lambda d, path=path, pairs=pairs: self._change_values(d, path, pairs)))  # type: ignore[misc]
        for stored, current in self.keys.items():
            depth = stored.count(".")
            order = (1, -depth) if depth else (3, 0)
            if back and current is None:
                continue
            before, after = (current, stored) if back else (stored, current)
            steps.append((order, lambda d, b=before, a=after: self._move(d, b, a)))  # type: ignore[misc]
        return sorted(steps, key=lambda step: step[0])

    def _change_values(self, document: Document, path: str, pairs: Mapping[Any, Any]) -> None:
        for parent, key in self._places(document, path.split(".")):
            if isinstance(parent[key], str | int | float | None) and parent[key] in pairs:
                parent[key] = pairs[parent[key]]

    def _move(self, document: Document, before: str, after: str | None) -> None:
        for parent, key in list(self._places(document, before.split("."))):
            if after is None:
                del parent[key]
                continue
            last = after.split(".")[-1]
            if _parent(before) == _parent(after):
                _rename_key(parent, key, last)
                continue
            value = parent.pop(key)
            target: Document = document
            for part in after.split(".")[:-1]:
                target = target.setdefault(part.partition(":")[0], {})
            if last in target:
                raise ValueError(f"'{before}' and its newer name '{after}' are both given")
            target[last] = value

    def _places(self, node: Any, parts: list[str]) -> Iterator[tuple[Document, str]]:
        """The objects that hold the key a path names, and that key."""
        if not isinstance(node, dict):
            return
        if len(parts) == 1:
            if parts[0] in node:
                yield node, parts[0]
            return
        name, _, kind = parts[0].partition(":")
        child = node.get(name.removesuffix("[]"))
        if name.endswith("[]"):
            for item in child if isinstance(child, list) else ():
                yield from self._places(item, parts[1:])
        elif not kind or (isinstance(child, dict) and self._is_kind(child, name, kind)):
            yield from self._places(child, parts[1:])

    def _is_kind(self, point: Document, name: str, kind: str) -> bool:
        """Whether an object is of a kind, under its stored or its current name."""
        current = self.values.get(f"{name}.kind", {}).get(kind, kind)
        return point.get("kind", self.default_kinds.get(name)) in (kind, current)


def _changed(document: Mapping[str, Any], steps: list[Callable[[Document], None]]) -> Document:
    if not steps:
        return dict(document)
    result = copy.deepcopy(dict(document))
    for step in steps:
        step(result)
    return result


def _rename_key(parent: Document, before: str, after: str) -> None:
    """Rename a key and keep its place in the order, which hashes depend on."""
    if after in parent:
        raise ValueError(f"'{before}' and its newer name '{after}' are both given")
    items = [(after if key == before else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(items)


def _parent(path: str) -> str:
    return path.rpartition(".")[0]
