"""Words as a command line that can be copied and run."""

from __future__ import annotations

import os
from collections.abc import Sequence


def command_line(words: Sequence[str]) -> str:
    """`isthmus` and these words, quoted for the shell of this platform."""
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(["isthmus", *words])
    import shlex

    return shlex.join(["isthmus", *words])
