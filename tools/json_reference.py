"""The reference of `--json`, a page for each document, written from the result classes.

    python tools/json_reference.py

A page of `docs/reference/json` that belongs to no result class stays as it is.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from command_reference import FOLDER, write_pages

from isthmus import api
from isthmus.api.result import Result
from isthmus.cli.show import written_outputs

_INDEX = """\
# JSON

Written by `python tools/json_reference.py` from the result classes; do not edit by hand.

With `--json` a command prints exactly one JSON object on stdout. Progress, notes and warnings go to stderr.

- Every object names its form in `schema`: `isthmus.NAME/VERSION`. Within one version, keys are only added.
- NaN and infinities are `null`. Images are counted, never included. Paths are as given.
- In tables, `a.b` is the key `b` of the object `a`. A key that does not apply is `null`, or empty.
- `skipped` is a list of `{"name", "reason"}`: inputs that were left out; the exit code is then 3.
"""
_WRITTEN = {
    "out": "path of the file written with `-o`, or null",
    "picture": "path of the picture written with `-o FILE.png`, or null",
    "report": "path of the page written with `-o FILE.html`, or null",
    "page": "path of the page written with `-o FILE.html`, or null",
    "write": "path of the list written with `-o FILE.txt`, or null",
}


def result_classes() -> list[type[Result]]:
    """Every result with a schema, by schema."""
    for module in iter_modules(api.__path__):
        import_module(f"isthmus.api.{module.name}")
    classes: dict[str, type[Result]] = {}
    todo = Result.__subclasses__()
    while todo:
        class_ = todo.pop()
        todo += class_.__subclasses__()
        if "schema" in vars(class_):
            classes[class_.schema] = class_
    return [classes[schema] for schema in sorted(classes)]


def attribute_texts(cls: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each attribute."""
    texts: dict[str, str] = {}
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
                texts |= dict.fromkeys(names, begin[2])
            elif line.strip():
                texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def describe_result(result: type[Result]) -> str:
    """The section of one result: a row for each key of its document."""
    about = attribute_texts(result)
    rows = [
        f"| `{key}` | {about[attribute]}{_describe_items(result, attribute)} |"
        for key, attribute in result.document.items()
    ]
    shared = (key for key in ("complete", "notes", "note_details", "skipped") if key not in result.document)
    rows += [f"| `{key}` | {about[key]} |" for key in shared]
    if result.formats != (".json",) and "out" not in result.document:
        about_files = _WRITTEN | dict(result.file_facts)
        rows += [
            f"| `{key}` | {about_files[key]} |" for key in (*written_outputs(result, ()), *result.file_facts)
        ]
    summary = (inspect.getdoc(result) or "").partition("\n")[0]
    return "\n".join([f"# {result.schema}", "", summary, "", "| key | what it is |", "|---|---|", *rows, ""])


def _describe_items(result: type[Result], attribute: str) -> str:
    """For a list of records: what each of them holds."""
    annotation = _annotation(result, attribute)
    names = re.findall(r"[A-Z]\w+", annotation)
    module = vars(sys.modules[result.__module__])
    for name in names:
        record = module.get(name)
        if isinstance(record, type) and is_dataclass(record) and not issubclass(record, Result):
            about = attribute_texts(record)
            keys = (f"`{f.name}` {about.get(f.name, '').rstrip('.')}" for f in fields(record))
            each = "Each" if re.match("tuple|list|Mapping", annotation) else "It"
            return f" {each} has " + "; ".join(keys) + "."
    return ""


def _annotation(result: type[Result], attribute: str) -> str:
    for base in result.__mro__:
        own = vars(base).get(attribute)
        if isinstance(own, property) and own.fget is not None:
            return str(own.fget.__annotations__.get("return", ""))
        if attribute in base.__annotations__:
            return str(base.__annotations__[attribute])
    return ""


def reference_pages(folder: Path = FOLDER) -> dict[str, str]:
    """Every page in Markdown, by its path below `docs/reference`: an index, and one for each document."""
    pages = {f"json/{path.name}": path.read_text("utf-8") for path in (folder / "json").glob("*.md")}
    for result in result_classes():
        pages[f"json/{_name(result.schema)}.md"] = describe_result(result)
    index = [_INDEX, "| document | what it holds |", "|---|---|"]
    for name in sorted(pages):
        title, _, text = pages[name].removeprefix("# ").partition("\n\n")
        summary = text.partition("\n")[0]
        index.append(f"| [`{title}`]({name}) | {summary} |")
    return {"json.md": "\n".join([*index, ""]), **pages}


def _name(schema: str) -> str:
    return schema.removeprefix("isthmus.").partition("/")[0]


if __name__ == "__main__":
    write_pages(reference_pages())
