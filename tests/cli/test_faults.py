"""Faults of the machine from the shell: closed streams, missing permissions, files that cannot be written."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus import cli
from isthmus.__main__ import main
from isthmus.atomic import write_bytes
from isthmus.errors import OutputError
from isthmus.images.listing import list_images
from isthmus.outputs import check_output

Capture = pytest.CaptureFixture[str]
Document = Callable[..., dict[str, Any]]
POSIX = pytest.mark.skipif(os.name != "posix", reason="closed and full streams are others there")


def isthmus_with(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line under a shell that redirects its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "isthmus", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(isthmus.__file__).parents[1])},
    )


@POSIX
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 1, "isthmus: error: cannot write to standard output: Bad file descriptor\n"),
        ("2>&-", 0, ""),
        (">&- 2>&-", 1, ""),
        ("<&-", 0, ""),
        pytest.param(
            ">/dev/full",
            1,
            "isthmus: error: cannot write to standard output: No space left on device\n",
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device"),  # noqa: PTH110
        ),
    ],
)
def test_a_closed_or_full_stream_is_told_by_the_exit_code(redirection: str, code: int, message: str) -> None:
    ran = isthmus_with(redirection, "recipes", "-q")
    assert ran.returncode == code
    assert ran.stderr.replace("every setting of one: isthmus recipes NAME\n", "").strip() == message.strip()


@POSIX
def test_the_work_is_done_with_closed_streams(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(np.full((16, 16), 100, np.uint8)).save(photo)
    out = tmp_path / "b.png"
    ran = isthmus_with(">&- 2>&-", "inpaint", str(photo), "--find", "dead-pixels", "-o", str(out))
    assert ran.returncode == 1
    assert out.read_bytes().startswith(b"\x89PNG")


@POSIX
def test_a_usage_error_keeps_its_code_without_a_stream() -> None:
    assert isthmus_with("2>&-", "trian").returncode == 2


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `isthmus doctor` raise what it is given."""

    def arrange(error: BaseException) -> None:
        @click.command()
        @click.option("--debug", is_flag=True, expose_value=False)
        def command() -> None:
            raise error

        monkeypatch.setattr(cli.isthmus, "get_command", lambda _context, _name: command)

    return arrange


@pytest.mark.parametrize(
    "number",
    [
        errno.EACCES,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENOSPC,
        errno.EROFS,
        errno.EIO,
    ],
)
def test_an_error_of_the_system_is_one_line_with_its_path(
    number: int, failing: Callable[[BaseException], None], capsys: Capture
) -> None:
    failing(OSError(number, os.strerror(number), "some/path"))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == f"isthmus: error: some/path: {os.strerror(number)}\n"


def test_the_end_of_a_file_is_not_taken_for_an_interruption(
    failing: Callable[[BaseException], None], capsys: Capture
) -> None:
    failing(EOFError("no data left in file"))
    assert main(["doctor"]) == 1
    assert "interrupted" not in capsys.readouterr().err


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes folders that cannot be listed, also for root."""
    real = os.scandir
    closed: set[str] = set()

    def scandir(path: Any = ".") -> Any:
        if os.path.abspath(os.fspath(path)) in closed:  # noqa: PTH100
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return lambda folder: closed.add(os.path.abspath(folder))  # noqa: PTH100


LISTING = [
    ("audit", "{data}"),
    ("denoise", "{data}", "--sigma", "5", "-o", "out"),
    ("inpaint", "{data}", "--find", "dead-pixels", "-o", "out"),
    ("compress", "{data}", "-o", "out"),
    ("reconstruct", "photos.safetensors", "{data}", "-o", "out"),
    ("embed", "photos.safetensors", "{data}", "--what", "code", "-o", "out.npz"),
    ("map", "photos.safetensors", "{data}", "--method", "pca", "-o", "out.html"),
]


@pytest.mark.parametrize("words", LISTING, ids=lambda words: words[0])
def test_a_folder_that_cannot_be_listed_is_named(
    words: tuple[str, ...], here: Path, locked: Callable[[Path], None], document: Document, capsys: Capture
) -> None:
    locked(here / "photos" / "left")
    result = document(*(word.format(data="photos") for word in words), code=3)
    (skipped,) = result["skipped"]
    assert skipped["name"] == "left/"
    assert "cannot be listed (Permission denied)" in skipped["reason"]
    locked(here / "photos")
    force = [] if words[0] == "audit" else ["--force"]
    assert main([*(word.format(data="photos") for word in words), *force, "--quiet"]) == 1
    assert "photos: this folder cannot be listed (Permission denied)" in capsys.readouterr().err


def test_verify_does_not_call_everything_whole(
    here: Path, locked: Callable[[Path], None], capsys: Capture
) -> None:
    assert main(["compress", "photos", "-o", "small", "-q"]) == 0
    locked(here / "small" / "left")
    capsys.readouterr()
    assert main(["verify", "small", "-q"]) == 3
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "5 of the 5 files found are whole: every checksum is right"
    assert "left/: this folder cannot be listed" in said.err


def refuse_writing(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    """Files that end in `names` cannot be written, as on a disk that becomes full after the work began."""

    def check(path: Any, *, force: bool) -> Path:
        if os.fspath(path).endswith(names):
            raise OutputError(f"no space left while writing {path}")
        return check_output(path, force=force)

    monkeypatch.setattr("isthmus.atomic.check_output", check)


SEARCH = ("search", "photos.safetensors", "photos", "--like", "photos/left/1.png")
LOST = [
    ("report", ".html", ("evaluate", "photos.safetensors", "photos", "-o", "r.html")),
    ("write", ".txt", ("audit", "photos", "-o", "r.txt")),
    ("out", ".csv", ("cluster", "photos.safetensors", "photos", "-k", "2", "-o", "r.csv")),
    ("picture", ".png", ("cluster", "photos.safetensors", "photos", "-k", "2", "-o", "r.png")),
    (
        "out",
        ".csv",
        ("classify", "photos.safetensors", "photos", "photos", "--few-labels", "0", "-o", "r.csv"),
    ),
    ("out", ".csv", ("anomalies", "photos.safetensors", "photos", "--normal", "photos", "-o", "r.csv")),
    ("index", "index.safetensors", (*SEARCH, "--index", "photos.isthmus-index.safetensors")),
    (
        "page",
        ".html",
        ("explain", "photos.safetensors", "photos/left/1.png", "--units", "1", "-o", "e.html"),
    ),
]


@pytest.mark.parametrize(("key", "ending", "words"), LOST, ids=lambda value: value[0] if value else "")
def test_the_answer_is_printed_where_a_file_beside_it_cannot_be_written(
    key: str,
    ending: str,
    words: tuple[str, ...],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    refuse_writing(monkeypatch, ending)
    assert main([*words, "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)[key] is None
    errors = [line for line in said.err.splitlines() if line.startswith("isthmus: error:")]
    assert len(errors) == 1 and "no space left" in errors[0]
    if key == "out":
        assert main([*words, "--quiet"]) == 1
        assert len(capsys.readouterr().out.splitlines()) >= 1
    assert not list(here.rglob("*.part")) and not list(here.rglob("*.lock"))


@pytest.mark.parametrize("out", ["", "-"])
@pytest.mark.parametrize(
    "words",
    [
        ("train", "photos"),
        ("reconstruct", "photos.safetensors", "photos"),
        ("denoise", "photos"),
        ("compress", "photos"),
        ("decompress", "photos"),
        ("generate", "photos.safetensors"),
        ("map", "photos.safetensors", "photos"),
        ("explain", "photos.safetensors", "photos/left/1.png"),
        ("tune", "photos", "--over", "code=2"),
        ("pull", "./photos"),
    ],
    ids=lambda words: words[0],
)
def test_no_name_and_a_dash_are_refused(
    words: tuple[str, ...], out: str, here: Path, capsys: Capture
) -> None:
    if words[0] == "decompress":
        (here / "photos" / "a.isth").write_bytes(b"")
    before = sorted(here.rglob("*"))
    assert main([*words, "-o", out, "-q"]) == 2
    (line, *_) = capsys.readouterr().err.splitlines()
    assert line.startswith("isthmus: error: ")
    assert sorted(here.rglob("*")) == before


def test_files_of_another_run_are_left_out_of_a_batch(
    here: Path, monkeypatch: pytest.MonkeyPatch, document: Document
) -> None:
    """Another process writes one of the outputs while this one works on it."""

    def write(path: Any, data: bytes, *, force: bool) -> None:
        if Path(path).name == "1.isth":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(b"theirs")
        write_bytes(path, data, force=force)

    monkeypatch.setattr("isthmus.atomic.write_bytes", write)
    result = document("compress", "photos", "-o", "small")
    assert result["already_there"] == 1 and len(result["files"]) == 9
    assert (here / "small" / "left" / "1.isth").read_bytes() == b"theirs"


@pytest.mark.parametrize("command", ["compress", "denoise", "reconstruct"])
def test_a_result_that_cannot_be_written_is_named_and_the_rest_is_done(
    command: str, here: Path, document: Document
) -> None:
    """A folder stands where one of the results should go."""
    suffix = ".isth" if command == "compress" else ".png"
    (here / "out" / "left").mkdir(parents=True)
    (here / "out" / "left" / f"1{suffix}" / "x").mkdir(parents=True)
    model = ["photos.safetensors"] if command == "reconstruct" else []
    sigma = ["--sigma", "5"] if command == "denoise" else []
    result = document(command, *model, "photos", "-o", "out", *sigma, "--force", code=3)
    assert [item["name"] for item in result["skipped"]] == ["left/1.png"]
    assert len(list((here / "out").rglob(f"[0-9]{suffix}"))) == 10


def test_a_full_disk_ends_a_batch(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["denoise", "photos", "--sigma", "5", "-o", "out", "-q"]) == 1
    assert capsys.readouterr().err.count("isthmus: error: no space left") == 1
    assert not [path for path in (here / "out").rglob("*") if path.is_file()]


def test_a_damaged_index_is_made_anew(here: Path, document: Document) -> None:
    index = here / "photos.isthmus-index.safetensors"
    words = (*SEARCH, "--index", str(index))
    first = document(*words)
    data = index.read_bytes()
    for length in (0, 1, 100, len(data) - 1):
        index.write_bytes(data[:length])
        assert document(*words)["queries"] == first["queries"]
        assert index.read_bytes() == data
    (here / "mine.safetensors").write_bytes(b"not an index")
    assert main([*SEARCH, "--index", "mine.safetensors", "-q"]) == 1
    assert (here / "mine.safetensors").read_bytes() == b"not an index"


@pytest.mark.usefixtures("here")
def test_an_index_in_use_is_refused(capsys: Capture) -> None:
    from isthmus.locks import exclusive

    words = [*SEARCH, "--index", "kept.safetensors", "-q"]
    with exclusive("kept.safetensors"):
        assert main(words) == 1
    assert "is working on" in capsys.readouterr().err
    assert main(words) == 0
    with exclusive("kept.safetensors"):
        assert main(words) == 0  # nothing is to be written


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "photos.safetensors", "photos", "-o", "out"),
        ("tune", "photos", "--over", "code=2", "--log", "out"),
        ("train", "photos", "-o", "out"),
    ],
    ids=lambda words: words[0],
)
def test_an_output_in_use_is_refused(words: tuple[str, ...], here: Path, capsys: Capture) -> None:
    from isthmus.locks import exclusive

    out = here / "out.npz"
    words = tuple("out.npz" if word == "out" else word for word in words)
    with exclusive(out):
        assert main([*words, "-q"]) == 1
    assert "is working on" in capsys.readouterr().err
    assert not out.exists()


def test_lists_of_images_have_their_own_type(here: Path) -> None:
    assert len(list_images(here / "photos").files) == 10


def test_a_stream_of_the_caller_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    assert main(["recipes", "-q"]) == 0
    assert sys.stdout is mine and "conv" in mine.getvalue()
