"""All words of the page stand in its two catalogues, with the same fields."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from scripts import load_script

from isthmus.model.recipes import RECIPES

STATIC = Path(__file__).parents[2] / "isthmus" / "web" / "static"
TEXTS: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (STATIC / "texts").glob("*.json")
}
SCRIPTS = {path.name: path.read_text("utf-8") for path in STATIC.rglob("*.js")}
FIELD = re.compile(r"\{(\w+)\}")
IN_ENGLISH_OF_THE_LIBRARY = ("error.", "finding.", "hint.", "recipe.")
OF_THE_PAGE = {"error.unreachable", "error.answer", "error.page.unreachable"}
# The areas of ids whose errors and notes can reach the page; of others only some are translated.
SHOWN_AREAS = frozenset(
    (
        *("anomalies", "audit", "code-space", "codec", "compressed-file", "data", "denoise", "direction"),
        *("extra", "features", "generation", "image-file", "inpaint", "interpolate", "map", "model"),
        *("model-file", "page", "picture", "pixels", "prior", "process", "reading", "recipe", "reference"),
        *("restoration", "restore", "search", "segmentation", "stream", "suggestion", "threads", "training"),
        "use",
    )
)
# Without these a sentence does not say what is the matter.
VALUES = frozenset(
    ("reason", "suggestion", "name", "path", "source", "folder", "images", "expected", "given")
)


def test_both_languages_have_every_text() -> None:
    assert set(TEXTS) == {"en", "zh"}
    only_english = set(TEXTS["en"]) - set(TEXTS["zh"])
    only_chinese = set(TEXTS["zh"]) - set(TEXTS["en"])
    assert only_english == set()
    assert {key for key in only_chinese if not key.startswith(IN_ENGLISH_OF_THE_LIBRARY)} == set()


@pytest.mark.parametrize("key", TEXTS["en"])
def test_a_translation_has_the_same_fields(key: str) -> None:
    english, chinese = TEXTS["en"][key], TEXTS["zh"][key]
    assert set(FIELD.findall(english)) == set(FIELD.findall(chinese))
    assert english.strip() and chinese.strip()


def test_every_recipe_is_described_in_chinese() -> None:
    assert {f"recipe.{name}" for name in RECIPES} - set(TEXTS["zh"]) == set()


def test_every_text_that_a_script_names_is_there() -> None:
    named = {key for text in SCRIPTS.values() for key in re.findall(r"\bt\(\s*\"([\w.-]+)\"", text)}
    assert len(named) > 100
    assert named - set(TEXTS["en"]) == set()


def test_no_text_is_left_over() -> None:
    everything = "\n".join(SCRIPTS.values())
    built = ("task.", "hint.", "error.", "recipe.", "train.state-", "explore.", "find.")  # `t(`task.${…}`)`
    verbs = {f"train.{verb}" for verb in ("pause", "resume", "finish", "discard")}
    views = {
        f"{view}.{part}"
        for view in ("look", "explore", "compress", "repair", "find", "train")
        for part in ("name", "title", "lead")
    }
    unused = {
        key
        for key in TEXTS["en"]
        if f'"{key}"' not in everything and not key.startswith(built) and key not in verbs | views
    }
    assert unused == set()


def test_every_error_and_note_that_the_page_can_show_is_translated() -> None:
    expected = {id for id in _fields_by_id() if id.partition(".")[0] in SHOWN_AREAS}
    translated = {key.removeprefix("error.") for key in TEXTS["zh"] if key.startswith("error.")}
    assert expected - translated == set()


def test_translated_errors_exist_with_these_fields() -> None:
    fields_by_id = _fields_by_id()
    for key, text in TEXTS["zh"].items():
        if key.startswith("error.") and key not in OF_THE_PAGE:
            id = key.removeprefix("error.")
            assert id in fields_by_id, f"no error has the id {id}"
            assert set(FIELD.findall(text)) <= fields_by_id[id], id
            assert "{" not in FIELD.sub("", text), f"{id}: a field is a name in braces, without a format"


def test_translated_errors_leave_no_value_out() -> None:
    """Words of English grammar, and clauses that a translation says otherwise, are left out."""
    for id, fields in _fields_by_id().items():
        text = TEXTS["zh"].get(f"error.{id}")
        # The file that is empty is not always in it.
        if text is not None and id != "image-file.empty":
            assert fields & VALUES <= set(FIELD.findall(text)), id


def test_hints_and_findings_exist() -> None:
    hinted = {key.removeprefix("hint.") for key in TEXTS["zh"] if key.startswith("hint.")}
    assert hinted - set(_fields_by_id()) == set()
    named = {key.removeprefix("finding.") for key in TEXTS["zh"] if key.startswith("finding.")}
    assert named == set(_finding_names())


@cache
def _fields_by_id() -> dict[str, set[str]]:
    """Every id of the package, and the fields of its text in all places that make it."""
    fields_by_id: dict[str, set[str]] = {}
    for call in load_script("tools/error_reference.py").package_calls():
        if call.id is not None and call.template is not None:
            fields_by_id.setdefault(call.id, set()).update(call.used_fields())
            if call.maker == "ImageFileError":  # it names the file in addition
                fields_by_id[call.id].add("path")
    return fields_by_id


def _finding_names() -> Iterator[str]:
    for path in (STATIC.parents[1] / "training").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding":
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    yield str(name.value)
