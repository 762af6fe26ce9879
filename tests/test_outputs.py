"""Where results may be written: links, devices, names, folders in the way, and full disks."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.atomic import write_bytes, write_text
from isthmus.errors import ExistsError, OutputError, UsageError
from isthmus.outputs import (
    MAX_NAME_BYTES,
    affects_every_output,
    check_folder,
    check_output,
    explain_os_error,
    shorten_name,
)

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX has these files")
Write = Callable[[str], object]


def check(path: str) -> object:
    return check_output(path, force=True)


def write(path: str) -> object:
    write_bytes(path, b"new")
    return None


@pytest.fixture(params=[check, write], ids=["check", "write"])
def attempt(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Checks before the work and refusals when writing follow the same rules."""
    monkeypatch.chdir(tmp_path)
    chosen: Write = request.param
    return chosen


@pytest.mark.parametrize("name", ["", "-"])
def test_no_name_and_a_dash_are_refused(name: str, attempt: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        attempt(name)
    with pytest.raises(UsageError):
        check_folder(name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_called_dash(attempt: Write) -> None:
    attempt("./-")


def test_a_folder_in_the_place_of_the_file_is_refused(attempt: Write, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(OutputError, match="d: it is a folder"):
        attempt("d")


def test_a_file_in_the_place_of_a_folder_is_refused(attempt: Write, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    for name in ("f/x", "f/deeper/x"):
        with pytest.raises(OutputError, match="a part of this path is a file"):
            attempt(name)
    with pytest.raises(OutputError, match="not a folder"):
        check_folder("f")


def test_names_up_to_the_limit_can_be_written(attempt: Write, tmp_path: Path) -> None:
    for length in (1, 241, 245, MAX_NAME_BYTES):
        attempt("x" * length)
    attempt("é" * 127 + "x")
    with pytest.raises(OutputError, match="too long"):
        attempt("x" * (MAX_NAME_BYTES + 1))
    with pytest.raises(OutputError, match="too long"):
        attempt("missing/" + "x" * (MAX_NAME_BYTES + 1))
    assert not list(tmp_path.rglob("*.part"))


@POSIX
def test_the_file_that_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.csv"
    real.parent.mkdir()
    real.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(real)
    second = tmp_path / "second.csv"
    second.symlink_to(link)
    with pytest.raises(ExistsError):
        write_text(second, "new", force=False)
    write_text(second, "new")
    assert link.is_symlink() and second.is_symlink()
    assert real.read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "link.csv", "second.csv"}


@POSIX
def test_dangling_and_circular_links_are_refused(attempt: Write, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "folder").symlink_to("nowhere")
    for name, reason in (("dangling", "does not exist"), ("circle", "back to itself"), ("folder/x", "link")):
        with pytest.raises(OutputError, match=reason):
            attempt(name)
    assert not (tmp_path / "nowhere").exists()


@POSIX
def test_a_device_takes_the_bytes_and_stays_one(tmp_path: Path) -> None:
    place = tmp_path / "null"
    try:
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        place.open("wb").close()
    except PermissionError:
        pytest.skip("only root may make devices, and not in every container")
    with pytest.raises(ExistsError):
        write_bytes(place, b"x", force=False)
    write_bytes(place, b"x")
    assert stat.S_ISCHR(place.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["null"]
    with pytest.raises(OutputError, match="not a file"):
        check_output(place, force=True, stream=False)


@POSIX
def test_a_pipe_takes_all_bytes_at_once_and_stays_one(tmp_path: Path) -> None:
    place = tmp_path / "pipe.csv"
    os.mkfifo(place)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(place.read_bytes()))
    reader.start()
    write_bytes(place, b"a\n" * 100_000)
    reader.join()
    assert got == [b"a\n" * 100_000]
    assert stat.S_ISFIFO(place.stat().st_mode)


@POSIX
def test_a_pipe_that_nothing_reads_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.atomic.READER_SECONDS", 0)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OutputError, match=r"pipe\.csv: nothing reads this pipe"):
        write_bytes(tmp_path / "pipe.csv", b"a")


@POSIX
def test_a_socket_is_refused(attempt: Write) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(OutputError, match="socket"):
            attempt("s")


@POSIX
def test_a_full_device_is_one_error(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full")
    link = tmp_path / "full"
    link.symlink_to(full)
    with pytest.raises(OutputError, match="no space left") as raised:
        write_bytes(link, b"x")
    assert affects_every_output(raised.value)
    assert full.is_char_device()


def test_an_output_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    from isthmus.atomic import atomic_write

    place = tmp_path / "a.png"
    with pytest.raises(ExistsError), atomic_write(place, force=False) as stream:
        stream.write(b"mine")
        place.write_bytes(b"theirs")
    assert place.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_missing_permission_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_args: False)
    for attempt_to in (check, check_folder, write):
        with pytest.raises(OutputError, match="no permission to write"):
            attempt_to(str(tmp_path / "new" / "x"))
    assert list(tmp_path.iterdir()) == []


def test_the_medium_stops_a_batch_and_a_name_does_not() -> None:
    def explained(number: int) -> OutputError:
        cause = OSError(number, os.strerror(number))
        error = explain_os_error(cause, "x")
        error.__cause__ = cause
        return error

    assert affects_every_output(explained(errno.ENOSPC))
    assert affects_every_output(explained(errno.EROFS))
    assert not affects_every_output(explained(errno.ENAMETOOLONG))
    assert not affects_every_output(explained(errno.EACCES))


def test_long_names_are_cut_between_characters_and_stay_different() -> None:
    assert shorten_name("photos", ".resume.safetensors") == "photos.resume.safetensors"
    for stem in ("x" * 250, "é" * 125, "漢" * 83, "🙂" * 62):
        name = shorten_name(stem, ".resume.safetensors")
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert name.endswith(".resume.safetensors")
        assert "\ufffd" not in name
        assert name != shorten_name(stem[:-1] + "y", ".resume.safetensors")


@POSIX
def test_names_are_bytes_where_the_locale_is_not_utf8(tmp_path: Path) -> None:
    program = (
        "import os; from isthmus.atomic import write_bytes, write_text\n"
        "write_bytes('\\xe9.png', b'1')\n"
        "write_text(os.fsdecode(b'\\xc3\\xbc.csv'), os.fsdecode(b'\\xc3\\xbc\\xff'))\n"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {b"\xc3\xa9.png", b"\xc3\xbc.csv"}
    assert (tmp_path / "ü.csv").read_bytes() == b"\xc3\xbc\xff"
