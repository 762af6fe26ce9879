"""Every model in the package names the licences of its training data; the README repeats the limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts import ROOT

CARDS = sorted((ROOT / "isthmus").rglob("*.safetensors"))


@pytest.mark.parametrize("weights", CARDS, ids=lambda path: path.stem)
def test_the_card_states_the_licences_of_the_data(weights: Path) -> None:
    card = json.loads(weights.with_suffix(".json").read_text("utf-8"))
    assert card["data"]
    assert card["licences"]
    if "BSDS500" in card["data"]:
        assert "non-commercial" in card["licences"]


def test_the_readme_names_the_weights_that_saw_bsds500() -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition("\n## Licences\n")[2].partition("\n## ")[0]
    assert "non-commercial" in text
    for weights in CARDS:
        saw = "BSDS500" in json.loads(weights.with_suffix(".json").read_text("utf-8"))["data"]
        assert (f"`{weights.stem}`" in text) == saw
