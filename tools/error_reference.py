"""The page of all errors and notes, written from the calls that make them:

python tools/error_reference.py
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

_PREFACE = """\
# Errors and notes

Written by `python tools/error_reference.py`; do not edit by hand.

Every error has a stable `id` and `fields`, the values in its text, so that a page can show it in another
language. `error.to_dict()` gives `class`, `id`, `text`, `fields` and `hint`. Notes and the reasons of skipped
inputs have an id and fields too: `note_details` and `skipped` of a result, see [json.md](json.md).

Fields are JSON values; the tables name them in braces. A counted noun (`{images}` of "12 images") is its
number. A field that is a message itself, such as the error behind this one (`{reason}`), is an object with
`id`, `text` and `fields`; words of the system, of a library or of a damaged file are text.

Within a minor version ids stay; texts may become clearer, and fields may be added.
"""

# What takes a template and fields besides errors, and what the page calls it.
_KINDS = {"Message": "message", "log_note": "note", "UnreadablePixelsError": "reason"}
# Errors that always say the same: their classes hold the templates.
FIXED = frozenset(("BusyError", "ExistsError", "MissingExtraError"))
_OPTIONS = frozenset(("id", "hint", "log_level"))


@dataclass(frozen=True)
class MessageCall:
    """One place that makes an error, a note or another message.

    Attributes:
        maker: name of the class or function that is called.
        place: "isthmus/file.py:line".
        template: the text; None where it is no literal, as for a finished message that is passed on.
        id: the stable name, None where no literal is given.
        fields: names of the values that are given.
    """

    maker: str
    place: str
    template: str | None
    id: str | None
    fields: tuple[str, ...]

    def used_fields(self) -> list[str]:
        """The names in the template, each once.

        Raises:
            ValueError: a brace stands alone.
        """
        parts = Formatter().parse(self.template or "")
        return list(dict.fromkeys(name for _, name, _, _ in parts if name is not None))


def package_calls() -> list[MessageCall]:
    """Every call of the package that makes a message, by file and line."""
    calls: list[MessageCall] = []
    for place, tree in _sources().items():
        calls += message_calls(tree, place)
    return calls


def message_calls(tree: ast.AST, place: str) -> Iterator[MessageCall]:
    """The calls in one module; its constants may stand for a text or an id."""
    constants = {
        target.id: node.value
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for scope, node in _calls(tree):
        maker = ast.unparse(node.func)
        if maker == "super().__init__" and scope in FIXED:
            maker = scope
        elif maker not in error_classes() - FIXED and maker not in _KINDS:
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        first = node.args[1:] if maker == "ImageFileError" else node.args
        yield MessageCall(
            maker,
            f"{place}:{node.lineno}",
            _literal(first[0] if first else None, constants),
            _literal(keywords.get("id"), constants),
            tuple(str(key) for key in keywords if key not in _OPTIONS),
        )


@cache
def error_classes() -> frozenset[str]:
    """Names of `IsthmusError` and of all classes that derive from it."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for tree in _sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    names = {"IsthmusError"}
    while more := {name for name, own in bases.items() if own & names} - names:
        names |= more
    return frozenset(names)


def reference(calls: Iterable[MessageCall] | None = None) -> str:
    """The whole page: for each area, the part of an id before the dot, a table of ids and their texts."""
    areas: dict[str, dict[str, tuple[set[str], str]]] = {}
    for call in package_calls() if calls is None else calls:
        if call.id is None or call.template is None:
            continue
        text = f"{{path}}: {call.template}" if call.maker == "ImageFileError" else call.template
        area = areas.setdefault(call.id.partition(".")[0], {})
        area.setdefault(call.id, (set(), text))[0].add(_KINDS.get(call.maker, call.maker))
    parts = [_PREFACE]
    for name in sorted(areas):
        parts.append(f"## {name}\n\n| id | made by | text |\n|---|---|---|")
        parts += [_row(id, *areas[name][id]) for id in sorted(areas[name])]
        parts.append("")
    return "\n".join(parts)


def _row(id: str, makers: set[str], text: str) -> str:
    escaped = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return f"| `{id}` | {', '.join(sorted(makers))} | {escaped} |"


@cache
def _sources() -> Mapping[str, ast.Module]:
    """The modules of the package, parsed: "isthmus/file.py" -> tree."""
    root = Path(__file__).parents[1] / "isthmus"
    paths = {f"isthmus/{path.relative_to(root).as_posix()}": path for path in sorted(root.rglob("*.py"))}
    return {place: ast.parse(path.read_text("utf-8")) for place, path in paths.items()}


def _calls(node: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call below, with the name of the class that it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield scope, child
        yield from _calls(child, child.name if isinstance(child, ast.ClassDef) else scope)


def _literal(node: ast.expr | None, constants: Mapping[str, ast.expr]) -> str | None:
    if isinstance(node, ast.Name):
        node = constants.get(node.id)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "reference" / "errors.md").write_text(reference(), "utf-8")
