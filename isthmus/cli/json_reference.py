"""Tables of docs/reference/json.md, written from the result classes: `python -m isthmus.cli.json_reference`.

It writes the sections of the results that it knows anew and leaves the rest of the page as it is.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from isthmus import api
from isthmus.api.result import Result
from isthmus.cli.docstrings import attribute_texts
from isthmus.cli.show import written_outputs

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
    found: dict[str, type[Result]] = {}
    todo = Result.__subclasses__()
    while todo:
        one = todo.pop()
        todo += one.__subclasses__()
        if "schema" in vars(one):
            found[one.schema] = one
    return [found[schema] for schema in sorted(found)]


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
    return "\n".join([f"## {result.schema}", "", summary, "", "| key | what it is |", "|---|---|", *rows, ""])


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


def updated_page(page: str) -> str:
    """The page with the sections of all results written anew, in their place or at the end."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    for result in result_classes():
        section = describe_result(result) + "\n"
        places = [i for i, part in enumerate(parts) if part.startswith(f"## {result.schema}\n")]
        if places:
            parts[places[0]] = section
        else:
            parts.append(section)
    return "".join(parts).rstrip("\n") + "\n"


if __name__ == "__main__":
    place = Path("docs/reference/json.md")
    place.write_text(updated_page(place.read_text("utf-8")), "utf-8")
