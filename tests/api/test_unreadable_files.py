"""A file without permission is named by every use and stops none; a killed batch is finished by the next."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.errors import DataError, OutputError

MODEL, PHOTOS = "photos.safetensors", "photos"
USES: dict[str, Callable[[str], Any]] = {
    "denoise_files": lambda path: isthmus.denoise_files(path, out="out", sigma=0),
    "inpaint_files": lambda path: isthmus.inpaint_files(path, out="out", find="dead-pixels"),
    "compress_files": lambda path: isthmus.compress_files(path, out="out"),
    "reconstruct_files": lambda path: isthmus.reconstruct_files(MODEL, path, out="out"),
    "embed": lambda path: isthmus.embed(MODEL, path),
    "evaluate": lambda path: isthmus.evaluate(MODEL, path),
    "anomalies": lambda path: isthmus.anomalies(MODEL, path, normal="good", score="reconstruction"),
    "anomalies, normal": lambda path: isthmus.anomalies(MODEL, "clean", normal=path, score="reconstruction"),
    "audit": isthmus.audit,
    "cluster": lambda path: isthmus.cluster(MODEL, path, clusters=2),
    "augment": lambda path: isthmus.augment(MODEL, path, methods=["mixup"], count=2),
    "diagnose": lambda path: isthmus.diagnose(MODEL, path),
    "compare": lambda path: isthmus.compare(path, ["dense"], code="2", steps=1),
    "tune": lambda path: isthmus.tune(path, ["code=2"], recipe="dense", steps=1, folds=2),
    "train": lambda path: isthmus.train(path, recipe="dense", code="2", steps=1).training_report,
    "verify_files": lambda path: isthmus.verify_files(path),
    "decompress_files": lambda path: isthmus.decompress_files(path, out="out"),
}


@pytest.fixture
def locked(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001
    """The name of a file in `photos/` that may not be read, also for root."""
    shutil.copytree("photos/right", "good")
    Path("clean").mkdir()
    for path in sorted(Path("photos/right").iterdir())[:4]:
        (Path("clean") / path.name).write_bytes(path.read_bytes())
    real = os.open

    def refuse(path: Any, *args: Any, **options: Any) -> int:
        if isinstance(path, (str, os.PathLike)) and "locked." in os.fspath(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    return "locked."


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("use", USES)
def test_every_use_names_a_file_that_may_not_be_read(use: str) -> None:
    folder, name = PHOTOS, "photos/left/locked.png"
    if use in ("verify_files", "decompress_files"):
        folder, name = "packed", "packed/locked.isth"
        isthmus.compress_files("clean", out=folder)
    Path(name).write_bytes(Path("photos/left/1.png").read_bytes())
    result = USES[use](folder)
    (skipped,) = [entry for entry in result.skipped if "locked." in entry.name]
    assert "ermission" in skipped.reason
    assert name not in skipped.reason  # it is called once
    with pytest.raises((DataError, OutputError), match=r"locked\..*ermission"):
        USES[use](name)


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from isthmus.__main__ import main
left = int(sys.argv[1])
real = os.fsync
def kill(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = kill
sys.exit(main(sys.argv[2:]))
"""
BATCHES = {
    "denoise": ["denoise", "clean", "-o", "out", "--sigma", "5"],
    "inpaint": ["inpaint", "clean", "-o", "out", "--find", "dead-pixels"],
    "compress": ["compress", "clean", "-o", "out"],
    "reconstruct": ["reconstruct", MODEL, "clean", "-o", "out"],
}


@pytest.mark.usefixtures("locked")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only POSIX can kill like this")
@pytest.mark.parametrize("use", BATCHES)
def test_a_killed_batch_is_finished_when_it_is_repeated(use: str) -> None:
    words = BATCHES[use]
    new_words = [word if word != "out" else "whole" for word in words]
    subprocess.run([sys.executable, "-m", "isthmus", *new_words, "--workers", "1"], check=True)
    right = {path.name: path.read_bytes() for path in Path("whole").iterdir()}
    assert len(right) == 4
    command = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, "3", *words, "--workers", "1"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    done = {path.name: path.read_bytes() for path in Path("out").iterdir() if not path.name.startswith(".")}
    assert 0 < len(done) < 4
    assert all(content == right[name] for name, content in done.items())
    assert any(path.suffix == ".part" for path in Path("out").iterdir())
    subprocess.run([sys.executable, "-m", "isthmus", *words], check=True)
    shown = {path.name: path.read_bytes() for path in Path("out").iterdir() if not path.name.startswith(".")}
    assert shown == right
