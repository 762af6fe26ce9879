"""SIGKILL while checkpoints are saved: the last whole state is always there.

`python -m tests.training.killing 200 FOLDER` is the long form.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_25_kills_at_random_moments(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(program), "25", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.match(r"25 kills, (\d+) of them half-way through a save, (\d+) saves finished", done.stdout)
    assert found is not None
    assert int(found[1]) > 0, "no kill came in the middle of a save, so nothing was shown"
    assert int(found[2]) > 0
