"""A virtual environment for each peer, made once under a folder."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PEERS = {"pythae": ("torch==2.13.0", "pythae==0.1.2"), "keras": ("tensorflow-cpu==2.21.0", "keras==3.15.1")}


def python_of(peer: str, folder: Path) -> str:
    """The interpreter of the environment of `peer`, which is made if it is not there yet."""
    place = folder / f"venv-{peer}"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = place / "ready"
    if not ready.exists():
        print(f"installing {', '.join(PEERS[peer])} …", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True)
        words = [str(python), "-m", "pip", "install", "--quiet", *PEERS[peer], "pillow"]
        subprocess.run(words, check=True, stdout=sys.stderr)
        ready.touch()
    return str(python)
