"""All words of the page stand in its two catalogues, with the same fields."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from scripts import load_script

STATIC = Path(__file__).parents[2] / "isthmus" / "web" / "static"
TEXTS: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (STATIC / "texts").glob("*.json")
}
SCRIPTS = {path.name: path.read_text("utf-8") for path in STATIC.rglob("*.js")}
FIELD = re.compile(r"\{(\w+)\}")


def test_both_languages_have_every_text() -> None:
    assert set(TEXTS) == {"en", "zh"}
    only_english = set(TEXTS["en"]) - set(TEXTS["zh"])
    only_chinese = set(TEXTS["zh"]) - set(TEXTS["en"])
    assert only_english == set()
    # In English the library's own sentences are shown.
    assert {key for key in only_chinese if not key.startswith(("error.", "recipe."))} == set()


@pytest.mark.parametrize("key", TEXTS["en"])
def test_a_translation_has_the_same_fields(key: str) -> None:
    english, chinese = TEXTS["en"][key], TEXTS["zh"][key]
    assert set(FIELD.findall(english)) == set(FIELD.findall(chinese))
    assert english.strip() and chinese.strip()


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


def test_translated_errors_exist_with_these_fields() -> None:
    known: dict[str, set[str]] = {}
    for call in load_script("tools/error_reference.py").package_calls():
        if call.id is not None:
            known.setdefault(call.id, set()).update(call.fields)
    of_the_page = {"error.unreachable", "error.answer", "error.page.unreachable"}
    for key, text in TEXTS["zh"].items():
        if key.startswith("error.") and key not in of_the_page:
            id = key.removeprefix("error.")
            assert id in known, f"no error has the id {id}"
            # Errors of image files name the file in addition.
            own = known[id] | ({"path"} if id.startswith("image-file.") else set())
            assert set(FIELD.findall(text)) <= own, id
