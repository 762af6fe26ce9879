"""The keys of each JSON document are pinned to its schema's number: another key needs another number.

`json_keys.json` lists all key paths by schema. Within a number keys may be added, none may go or change: then
the document gets the next number, and its keys are added to the file under it.
`tests/cli/test_json_page.py` runs every command and compares its document with this list.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .checks import key_paths, run

ROOT = Path(__file__).parents[2]
PINNED: dict[str, list[str]] = {
    schema: keys.split(" ")
    for schema, keys in json.loads((Path(__file__).parent / "json_keys.json").read_text("utf-8")).items()
}


def documented() -> dict[str, set[str]]:
    """Schema → keys in the first column of its table in docs/reference/json/."""
    results: dict[str, set[str]] = {}
    for path in (ROOT / "docs" / "reference" / "json").glob("*.md"):
        lines = path.read_text("utf-8").splitlines()
        rows = [line for line in lines if line.startswith("| `")]
        keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])}
        results[lines[0].removeprefix("# ").strip()] = keys
    return results


def test_every_schema_number_has_its_keys_listed() -> None:
    missing = sorted(set(documented()) - set(PINNED))
    assert not missing, f"add the key paths of {missing} to {Path(__file__).parent.name}/json_keys.json"


def test_a_schema_is_never_lost_nor_falls_back() -> None:
    numbers: dict[str, int] = {}
    for schema in documented():
        name, _, number = schema.partition("/")
        numbers[name] = max(int(number), numbers.get(name, 0))
    for schema in PINNED:
        name, _, number = schema.partition("/")
        assert numbers.get(name, 0) >= int(number), schema


@pytest.mark.parametrize("schema", sorted(set(documented()) & set(PINNED)))
def test_no_key_goes_without_another_number(schema: str) -> None:
    top = {key for key in PINNED[schema] if not re.search(r"[.\[]", key)} - {"schema"}
    keys = {key for key in documented()[schema] if "." not in key}
    assert top <= keys, f"{sorted(top - keys)} is gone from {schema}: give the document the next number"


def test_documents_of_the_first_models_have_the_listed_keys() -> None:
    documents = [run("info", "models/dense.safetensors"), run("recipes"), run("models")]
    for document in documents:
        result = key_paths(document)
        # A recipe's own settings differ from model to model.
        expected = {key for key in PINNED[document["schema"]] if not key.startswith("recipe.")}
        assert expected <= result
