"""How often following images through the code leads back to a file that was left: no change may raise it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_RETURNS = {"compress": 2, "denoise": 2, "anomalies": 2, "command": 2, "train": 7}


def test_walks_return_no_more_often_than_before() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "walks.py"], capture_output=True, text=True, check=True
    )
    lists = re.findall(r"\n(\w+)\n((?:(?:return|      ) .*\n)+)\d+ files, (\d+) returns", done.stdout)
    returns = {walk: int(count) for walk, _, count in lists}
    assert returns.keys() == MAX_RETURNS.keys()
    more = {walk: count for walk, count in returns.items() if count > MAX_RETURNS[walk]}
    assert not more, f"see docs/develop/walks.md:\n{done.stdout}"
