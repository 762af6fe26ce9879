"""Every use gives one answer, from Python and from the shell: without options and with all of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from .parity import Parity, assert_equal_documents

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_parity")
CASES: dict[str, Parity] = {
    name: case
    for module in MODULES
    for name, case in getattr(import_module(f"api.{module}"), "PARITY", {}).items()
}

SLOW = ("demo",)  # every use in one


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CASES]
)
def test_python_and_shell_give_one_document(
    name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if name == "demo":
        request.getfixturevalue("quick_demo")
    assert_equal_documents(CASES[name], capsys)
