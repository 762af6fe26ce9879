"""Writing a file whole or not at all, and what a killed process leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus import atomic
from isthmus.atomic import atomic_write, write_bytes

HALF_WRITTEN = """
import os, signal, sys
from isthmus.atomic import atomic_write
with atomic_write(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


WRITE = """
import sys
from isthmus.atomic import write_bytes
write_bytes(sys.argv[1], sys.argv[2].encode())
"""


def write_in_another_process(path: Path, text: str) -> None:
    """`write_bytes` by a process that has not listed the folder before: each lists a folder once."""
    subprocess.run([sys.executable, "-c", WRITE, str(path), text], check=True)


def age(path: Path, seconds: float) -> None:
    """Make a file that was just written older."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only POSIX can kill like this")
def test_what_a_killed_process_left_goes_with_the_next_write_of_that_file(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    write_bytes(target, b"old")
    killed = subprocess.run([sys.executable, "-c", HALF_WRITTEN, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (litter,) = tmp_path.glob(".*.part")
    assert target.read_bytes() == b"old"
    write_in_another_process(target, "new")
    assert litter.exists()  # another process could still be writing it
    age(litter, 2 * atomic.STALE_SECONDS)
    write_in_another_process(target, "newer")
    assert names(tmp_path) == ["model.safetensors"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other_names = [".other.safetensors.abcdefgh.part", "a.part", ".a.part", ".a.abc.part", ".a.ABCDEFGH.part"]
    for name in other_names:
        (tmp_path / name).write_bytes(b"mine")
        age(tmp_path / name, 2 * atomic.STALE_SECONDS)
    (tmp_path / ".a.abcdefgh.part").mkdir()
    write_bytes(tmp_path / "a", b"new")
    assert names(tmp_path) == sorted([*other_names, ".a.abcdefgh.part", "a"])


def test_a_failed_write_removes_nothing(tmp_path: Path) -> None:
    litter = tmp_path / ".a.abcdefgh.part"
    litter.write_bytes(b"half")
    age(litter, 2 * atomic.STALE_SECONDS)
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a"):
        raise ZeroDivisionError
    assert names(tmp_path) == [litter.name]


def test_many_files_in_one_folder_list_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    real = os.scandir

    def scandir(path: Path) -> Any:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for number in range(20):
        write_bytes(tmp_path / f"{number}.png", b"x")
    assert len(listed) == 1
