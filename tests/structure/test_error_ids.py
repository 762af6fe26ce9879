"""Every error, note and message has a stable id, and its template names exactly the values it is given."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from scripts import load_script

from isthmus import errors

ROOT = Path(__file__).parents[2]
# An area, and what happened: "data.no-labels".
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+")
FIELD = re.compile(r"[a-z]([a-z_]*[a-z])?")
# Modules that make messages out of what they are given.
MAKERS = (
    *("isthmus/messages.py", "isthmus/errors.py", "isthmus/log.py"),
    *("isthmus/images/opening.py", "isthmus/images/sample_range.py"),
)
# Fields that are not in the text, by id.
UNSAID = {"call.exchanged-arguments": {"model"}} | {id: {"expected"} for id in errors.EMPTY_FOLDER_IDS}
SCRIPT = load_script("tools/error_reference.py")
CALLS = SCRIPT.package_calls()


def offences(call: Any) -> list[str]:
    """What is wrong with one call, in a few words each."""
    results = []
    if call.template is None or call.id is None:
        results.append("its text or its id is no literal")
    try:
        used = call.used_fields()
    except ValueError as error:
        return [*results, f"its template is broken: {error}"]
    if call.template and ("{" in call.template or "}" in call.template) and not call.fields:
        results.append("braces without fields")
    if set(used) != set(call.fields) - UNSAID.get(call.id or "", set()):
        results.append(f"it names {used} and is given {list(call.fields)}")
    results += [f"'{name}' is no name of a field" for name in used if not FIELD.fullmatch(name)]
    if call.id is not None and not ID.fullmatch(call.id):
        results.append(f"'{call.id}' is no id")
    return results


def passes_on(call: Any) -> bool:
    """Whether the call takes a finished message as it is, or stands where messages are made."""
    return call.template is None and call.id is None and (not call.fields or call.place.startswith(MAKERS))


def test_the_classes_of_errors_are_known() -> None:
    own = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.IsthmusError)
    }
    assert own < SCRIPT.error_classes()
    assert {"ImageFileError", "CompressedFileError", "TooManyError", "HubError"} < SCRIPT.error_classes()
    assert own > SCRIPT.FIXED


def test_every_message_has_an_id_and_its_fields() -> None:
    wrong = {
        f"{call.place} {call.maker}": what
        for call in CALLS
        if not passes_on(call) and (what := offences(call))
    }
    assert wrong == {}


def test_every_raised_error_was_looked_at() -> None:
    """No error of the package is raised in a way that the check above does not see."""
    places = {call.place for call in CALLS}
    missed = []
    for path in sorted((ROOT / "isthmus").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                last = name.rpartition(".")[2]
                if last in SCRIPT.error_classes() - SCRIPT.FIXED and not name.startswith("click."):
                    where = f"{place}:{node.exc.lineno}"
                    missed += [] if where in places else [where]
    assert missed == []


def test_an_id_stands_for_one_text() -> None:
    texts: defaultdict[str, set[str]] = defaultdict(set)
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for call in CALLS:
        if call.id is not None and call.template is not None:
            texts[call.id].add(call.template)
            ids[call.template].add(call.id)
    assert {id: values for id, values in texts.items() if len(values) > 1} == {}
    # A text that is only what another said may come from several places.
    bare = re.compile(r"\{[a-z_]+\}")
    assert {
        text: values for text, values in ids.items() if len(values) > 1 and not bare.fullmatch(text)
    } == {}


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    assert page == SCRIPT.reference(), "run: python tools/error_reference.py"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('DataError("{path}: no", id="data.no", path=p)', []),
        ('DataError("no", id="data.no")', []),
        ('DataError("{path}: no", id="data.no")', ["braces", "names"]),
        ('DataError("no", id="data.no", path=p)', ["names"]),
        ('DataError("{path} no", path=p)', ["literal"]),
        ('DataError(f"{path} no", id="data.no")', ["literal"]),
        ('DataError("no }", id="data.no")', ["broken"]),
        ('DataError("{arg0} no", id="data.no", arg0=p)', ["name of a field"]),
        ('DataError("{} no", id="data.no")', ["braces", "names", "name of a field"]),
        ('DataError("no", id="Data.No")', ["no id"]),
        ('log_note("{n} left", id="left", n=1)', ["no id"]),
        ('ImageFileError(place, "at {byte}", id="image-file.at", byte=1)', []),
    ],
)
def test_what_is_wrong_is_found(source: str, said: list[str]) -> None:
    (call,) = SCRIPT.message_calls(ast.parse(source), "x.py")
    result = offences(call)
    assert len(result) == len(said)
    assert all(word in what for word, what in zip(said, result, strict=True))
