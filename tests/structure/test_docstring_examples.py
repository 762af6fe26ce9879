"""Every public function has an example in its docstring, and the example gives what it says."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import isthmus
from isthmus.public_names import HOMES

# A training of minutes; and old names, which have no example.
WITHOUT_EXAMPLE = {"evaluate_model", "generate_images", "run_demo"}
NEEDS_EXTRA = {"export_onnx": "onnxscript"}
FUNCTIONS = sorted(name for name in HOMES if inspect.isfunction(getattr(isthmus, name)))


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - WITHOUT_EXAMPLE))
def test_the_example_of_a_public_function_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in NEEDS_EXTRA:
        pytest.importorskip(NEEDS_EXTRA[name], reason="needs an extra")
    monkeypatch.chdir(tmp_path)
    function = getattr(isthmus, name)
    result = doctest.DocTestParser().get_doctest(inspect.getdoc(function) or "", {}, name, None, None)
    assert result.examples, "give it an example under `Examples:`"
    report: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=flags).run(result, out=report.append)
    assert not report, "".join(report)
