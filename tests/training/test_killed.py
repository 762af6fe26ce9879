"""SIGKILL while checkpoints are saved: the last whole state is always there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_kill_at_any_line_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    match = re.match(r"(\d+) kills, (\d+) left half a file, after (\d+) the new state was there", done.stdout)
    assert match is not None, done.stdout
    kills, halves, arrived = (int(number) for number in match.groups())
    assert kills > 20
    assert 0 < halves < kills
    assert 0 < arrived < kills
