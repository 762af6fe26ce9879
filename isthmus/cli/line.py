"""Words as a command line that can be copied and run."""

from __future__ import annotations

import os
from collections.abc import Sequence


def command_line(words: Sequence[str]) -> str:
    """`isthmus` and these words, quoted for the shell of this platform; a training by torchrun stays one."""
    begin = ["isthmus"]
    several = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if words[:1] == ["train"] and several != "1":
        begin = ["torchrun", "--nproc-per-node", several, "-m", "isthmus"]
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([*begin, *words])
    import shlex

    return shlex.join([*begin, *words])
