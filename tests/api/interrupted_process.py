"""Runs commands one after another, each stopped at an update of its progress until a signal comes.

Reads a JSON object a line: the words of the command, its folder, the label of the job and the update at which
it waits. On stderr it says READY when it waits and END after the command; on stdout it prints the command's
JSON document (or `{}`) and its exit code, a line each.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
from contextlib import redirect_stdout

from isthmus.__main__ import main
from isthmus.cli import console
from isthmus.progress import Task

_LONGEST_WAIT_SECONDS = 60


class _WaitingTask(Task):
    where: tuple[str, int] = ("", 0)

    def update(self, done: float, text: str = "") -> None:  # noqa: ARG002
        label, at = type(self).where
        if self.label != label:
            return
        type(self).where = label, at - 1
        if at == 1:
            print("READY", file=sys.stderr, flush=True)
            select.select([_signals], [], [], _LONGEST_WAIT_SECONDS)  # the signal ends it


_signals, _write_signals = os.pipe()
os.set_blocking(_write_signals, False)
signal.set_wakeup_fd(_write_signals)  # also of signals whose handler only asks a training to stop
vars(console)["LineTask"] = _WaitingTask
for line in sys.stdin:
    job = json.loads(line)
    os.chdir(job["folder"])
    _WaitingTask.where = job["label"], job["at"]
    with redirect_stdout(io.StringIO()) as output:
        code = main(job["words"])
    while select.select([_signals], [], [], 0)[0]:
        os.read(_signals, 100)
    print("END", file=sys.stderr, flush=True)
    print(output.getvalue().strip() or "{}", code, sep="\n", flush=True)
