"""Compare the JSON document of a command with `to_dict()` of the function that it calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.__main__ import main
from isthmus.api.result import Result
from isthmus.cli.show import written_outputs

# What may differ: how the model was named, where outputs went, how long it took.
FREE_KEYS = frozenset(
    {
        *("model", "out", "picture", "report", "output", "url", "place", "path", "file"),
        *("seconds", "fit_seconds", "training_seconds", "seconds_per_step", "images_per_second"),
    }
)


@dataclass(frozen=True)
class Parity:
    """One use, called twice.

    Attributes:
        words: the command, without `--json`; run in a folder with `photos/` and `photos.safetensors`.
        call: the same in Python; a model gives its `training_report`.
        code: the command's exit code.
        prepare: called before both.
    """

    words: Sequence[str]
    call: Callable[[], Any]
    code: int = 0
    prepare: Callable[[], object] = lambda: None


def assert_equal_documents(case: Parity, capsys: pytest.CaptureFixture[str]) -> None:
    """Run both; everything but `FREE_KEYS` and what is said of saved files must be equal."""
    case.prepare()
    capsys.readouterr()
    assert main([*case.words, "--json", "--quiet"]) == case.code
    from_shell = json.loads(capsys.readouterr().out)
    result = case.call()
    result = getattr(result, "training_report", result)
    assert isinstance(result, Result)
    of_files = {*result.file_facts, *written_outputs(type(result), ())}
    from_shell = {key: value for key, value in from_shell.items() if key not in of_files}
    assert without_free_keys(from_shell) == without_free_keys(result.to_dict())


def without_free_keys(value: Any) -> Any:
    """The document without what may differ, at any depth."""
    if isinstance(value, dict):
        return {key: without_free_keys(item) for key, item in value.items() if key not in FREE_KEYS}
    if isinstance(value, list):
        return [without_free_keys(item) for item in value]
    return value
