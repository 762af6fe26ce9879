"""What to do about a finding is data: a shell shows an option, Python a keyword, files what 0.1 wrote."""

from __future__ import annotations

import json

import pytest

from isthmus.cli.line import format_hint, format_options
from isthmus.errors import Hint, spell_hints
from isthmus.training.diagnosis.finding import Finding, change_setting

WORDS = Hint("leaving these images out")
BOTH = Hint("more images", options=(("code", "16@8"),))


def finding(hint: Hint) -> Finding:
    return Finding("copying", "warning", "it copies", hint)


@pytest.mark.parametrize(
    ("hint", "stored", "python", "shell"),
    [
        (Hint.add(steps=1000), "--steps 1000", "steps=1000", "--steps 1000"),
        (Hint.add(code="8"), "--code 8", "code='8'", "--code 8"),
        (Hint.add(precision="float32"), "--precision float32", "precision='float32'", "--precision float32"),
        (change_setting("a.b=0.5"), "--set a.b=0.5", "settings=['a.b=0.5']", "--set a.b=0.5"),
        (WORDS, "leaving these images out", "leaving these images out", "leaving these images out"),
        (BOTH, "more images, or --code 16@8", "more images, or code='16@8'", "more images, or --code 16@8"),
    ],
)
def test_a_hint_is_shown_as_each_interface_spells_it(
    hint: Hint, stored: str, python: str, shell: str
) -> None:
    example = finding(hint)
    assert str(example) == f"copying: it copies; try {python}"
    with spell_hints(format_options):
        assert example.suggestion == shell
    assert example.suggestion == python
    document = json.loads(json.dumps(example.to_dict()))
    assert document["suggestion"] == stored
    assert document["hint"]["options"].keys() == dict(hint.options).keys()
    assert Finding.from_dict(document) == example
    del document["hint"]  # as version 0.1 wrote it
    assert Finding.from_dict(document) == example


def test_an_error_takes_over_the_options() -> None:
    assert finding(change_setting("a.b=1")).as_hint() == Hint.add(settings=("a.b=1",))
    assert finding(BOTH).as_hint() == Hint.add(code="16@8")
    assert finding(WORDS).as_hint() is None


def test_words_and_options_are_alternatives() -> None:
    assert BOTH.for_python() == "more images, or add code='16@8'"
    assert format_hint(BOTH) == "more images, or repeat the command with --code 16@8"
