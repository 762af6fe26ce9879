"""Texts of single arguments in docstrings, for the help of options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The paragraphs before `Args:` and the text of each argument."""
    text = inspect.getdoc(function) or ""
    head, _, arguments = text.partition("\nArgs:\n")
    head = head.partition("\nRaises:\n")[0].partition("\nExamples:\n")[0].partition("\nReturns:\n")[0]
    texts: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        if line and not line.startswith(" "):
            break
        begin = re.match(r"    ([a-z_]+): (.*)", line)
        if begin:
            name = begin[1]
            texts[name] = begin[2]
        elif name and line.strip():
            texts[name] += " " + line.strip()
    return head.strip(), texts
