"""Texts of single arguments and attributes in docstrings, for options and for docs/reference/json/."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The paragraphs before `Args:` and the text of each argument."""
    text = inspect.getdoc(function) or ""
    head, _, rest = text.partition("\nArgs:\n")
    head = head.partition("\nRaises:\n")[0].partition("\nExamples:\n")[0].partition("\nReturns:\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        begin = re.match(r"    ([a-z_]+): (.*)", line)
        if begin:
            name = begin[1]
            found[name] = begin[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return head.strip(), found


def attribute_texts(cls: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each attribute."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__doc__ or "")
        _, _, rest = text.partition("\nAttributes:\n")
        names: list[str] = []
        for line in rest.splitlines():
            begin = re.match(r"    ([a-z_][a-z_0-9, ]*): (.*)", line)
            if line and not line.startswith(" "):
                break
            if begin:
                names = [name.strip() for name in begin[1].split(",")]
                found |= dict.fromkeys(names, begin[2])
            elif line.strip():
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found
