"""A process that is one command keeps the collector away from what torch's import makes; others do not."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.__main__ import main

COMMAND = """
import atexit, gc, sys
from isthmus.__main__ import main
atexit.register(lambda: print("at exit"))
sys.argv = ["isthmus", "--version"]
main()
before = gc.get_freeze_count()
try:
    import torch
    print("while importing:", torch.ENABLED)
except ImportError:
    print("failed")
print("after:", gc.isenabled(), gc.get_freeze_count() > before)
"""


def run(tmp_path: Path, torch: str, program: str = COMMAND) -> list[str]:
    """Lines that the program prints where importing torch runs this code."""
    (tmp_path / "torch.py").write_text(torch)
    path = os.pathsep.join([str(tmp_path), str(Path(main.__code__.co_filename).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()[1:]


def test_the_collector_rests_while_torch_is_imported(tmp_path: Path) -> None:
    lines = run(tmp_path, "import gc\nENABLED = gc.isenabled()\n")
    assert lines == ["while importing: False", "after: True True", "at exit"]


def test_the_collector_works_again_after_a_failed_import(tmp_path: Path) -> None:
    assert run(tmp_path, "raise ImportError('broken')")[:2] == ["failed", "after: True True"]


def test_a_collector_that_was_off_stays_off(tmp_path: Path) -> None:
    program = COMMAND.replace("import atexit, gc, sys", "import atexit, gc, sys; gc.disable()")
    assert run(tmp_path, "ENABLED = None\n", program)[1] == "after: False True"


def test_a_command_called_from_python_leaves_the_process_alone(capsys: pytest.CaptureFixture[str]) -> None:
    finders, frozen = list(sys.meta_path), gc.get_freeze_count()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("isthmus ")
    assert (sys.meta_path, gc.get_freeze_count(), gc.isenabled()) == (finders, frozen, True)
