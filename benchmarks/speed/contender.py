"""A contender seen from the benchmark: a process that works when it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isthmus.errors import IsthmusError


class PeerError(IsthmusError):
    """A contender did not start, or ended on its own."""


class Contender:
    """`Contender("Keras", [python, script, …], threads=1)`; its first line of facts is `facts`."""

    def __init__(self, name: str, command: Sequence[str], *, threads: int, log: Path) -> None:
        self.name, self.log = name, log
        limits = {
            key: str(threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
        }
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **limits, "CUDA_VISIBLE_DEVICES": ""},
            )
        self.facts: dict[str, Any] = {}
        self.facts = self._answer()

    def order(self, command: str) -> dict[str, Any]:
        """Give an order and wait until it is carried out."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError, OSError):
            assert self.process.stdin is not None
            self.process.stdin.write("end\n")
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise PeerError(f"{self.name} ended: {said[-1] if said else 'it said nothing'} ({self.log})")
        answer: dict[str, Any] = json.loads(line)
        return answer
