"""Of two that would write one output the second is refused, and a killed process blocks nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from isthmus.errors import BusyError, OutputError
from isthmus.locks import exclusive

HOLD = """
import sys
from isthmus.locks import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_refused_and_named(tmp_path: Path) -> None:
    place = tmp_path / "new" / "m.safetensors"
    first = hold(place)
    with (
        pytest.raises(BusyError, match=rf"process {first.pid}\) is working on .*m\.safetensors"),
        exclusive(place),
    ):
        pass
    with exclusive(tmp_path / "new" / "other.safetensors"):
        pass
    first.communicate()
    with exclusive(place):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only POSIX can kill like this")
def test_a_killed_process_blocks_nobody_and_its_file_goes(tmp_path: Path) -> None:
    place = tmp_path / "m.safetensors"
    first = hold(place)
    first.kill()
    first.communicate()
    with exclusive(place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_holder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a"), pytest.raises(BusyError), exclusive(tmp_path / "a"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_to_one_output_share_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("")
    (tmp_path / "link").symlink_to("d/a")
    (tmp_path / "e").symlink_to("d")
    monkeypatch.chdir(tmp_path)
    with exclusive("d/a"):
        for name in ("link", "e/a", "./d/../d/a"):
            with pytest.raises(BusyError), exclusive(name):
                pass


def test_patience_waits_for_the_other(tmp_path: Path) -> None:
    held, done = threading.Event(), threading.Event()

    def first() -> None:
        with exclusive(tmp_path / "a"):
            held.set()
            done.wait()

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    threading.Timer(0.01, done.set).start()
    with exclusive(tmp_path / "a", patience=60):
        assert done.is_set()
    thread.join()


def test_folders_made_for_a_lock_stay_where_an_output_was_written(tmp_path: Path) -> None:
    with exclusive(tmp_path / "x" / "y" / "a"):
        (tmp_path / "x" / "y" / "a").write_text("")
    assert [path.name for path in (tmp_path / "x" / "y").iterdir()] == ["a"]


def test_an_impossible_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(OutputError), exclusive(tmp_path / "f" / "a"):
        pass
