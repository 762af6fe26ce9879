"""The codec's self-test runs once for a model, an installation and a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from isthmus.codec import self_test
from isthmus.codec.ready import make_codec
from isthmus.codec.self_test import MAX_RECORDS, RECORD
from isthmus.codec.tables import Tables
from isthmus.errors import ModelFileError
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.loading import load

from .conftest import MODEL

PREPARE = "import sys; from isthmus.codec.models import codec_for; codec_for(sys.argv[1]); print('done')"


class Runs:
    """Counts self-tests that run, and runs them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._run = self_test.run_self_test
        monkeypatch.setattr(self_test, "run_self_test", self._counted)

    def _counted(self, tables: Tables) -> None:
        self.count += 1
        self._run(tables)

    def of_a_new_process(self, model: Autoencoder | None = None) -> int:
        """Self-tests run for a model that was loaded just now."""
        before = self.count
        make_codec(load(MODEL) if model is None else model)
        return self.count - before


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ISTHMUS_CACHE", str(folder))
    return folder


@pytest.fixture
def runs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:  # noqa: ARG001
    threads = torch.get_num_threads()
    yield Runs(monkeypatch)
    torch.set_num_threads(threads)


def test_it_runs_once(runs: Runs, cache: Path) -> None:
    assert [runs.of_a_new_process() for _ in range(3)] == [1, 0, 0]
    assert len((cache / RECORD).read_text("ascii").splitlines()) == 1


def test_another_number_of_threads_is_tested_again(runs: Runs) -> None:
    torch.set_num_threads(1)
    assert runs.of_a_new_process() == 1
    torch.set_num_threads(2)
    assert runs.of_a_new_process() == 1
    torch.set_num_threads(1)
    assert runs.of_a_new_process() == 0


@pytest.mark.parametrize(
    "name", ["torch.__version__", "numpy.__version__", "isthmus.codec.self_test.__version__"]
)
def test_another_version_is_tested_again(name: str, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.of_a_new_process() == 1
    model = load(MODEL)
    monkeypatch.setattr(name, "99.0")
    assert runs.of_a_new_process(model) == 1


def test_another_processor_is_tested_again(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs.of_a_new_process() == 1
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert runs.of_a_new_process() == 1


def test_other_tables_are_tested_again_and_failures_never_recorded(runs: Runs, cache: Path) -> None:
    assert runs.of_a_new_process() == 1
    before = (cache / RECORD).read_bytes()
    for times in (1, 2):
        model = load(MODEL)
        good = model.attachments["codec"]
        changed = good.tensors["proof.bytes"].clone()
        changed[4] += 1
        model.attachments["codec"] = Attachment(good.facts, good.tensors | {"proof.bytes": changed})
        with pytest.raises(ModelFileError, match="own test"):
            make_codec(model)
        assert runs.count == 1 + times
        assert (cache / RECORD).read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\0" * 100, b"f" * 64, b"\xff\xfe" * 40, b"[" * 10**6], ids=range(6)
)
def test_a_damaged_record_is_mended(content: bytes, runs: Runs, cache: Path) -> None:
    cache.mkdir()
    (cache / RECORD).write_bytes(content)
    assert [runs.of_a_new_process() for _ in range(2)] == [1, 0]


def test_a_record_cut_short_counts_nothing(runs: Runs, cache: Path) -> None:
    assert runs.of_a_new_process() == 1
    data = (cache / RECORD).read_bytes()
    (cache / RECORD).write_bytes(data[:-5])
    assert [runs.of_a_new_process() for _ in range(2)] == [1, 0]


def test_a_folder_in_place_of_the_record_does_no_harm(runs: Runs, cache: Path) -> None:
    (cache / RECORD).mkdir(parents=True)
    assert [runs.of_a_new_process() for _ in range(2)] == [1, 1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_pipe_in_place_of_the_record_is_not_read(runs: Runs, cache: Path) -> None:
    cache.mkdir()
    os.mkfifo(cache / RECORD)
    assert runs.of_a_new_process() == 1


def test_a_cache_that_cannot_be_made_does_no_harm(runs: Runs, cache: Path) -> None:
    cache.write_text("a file")
    assert [runs.of_a_new_process() for _ in range(2)] == [1, 1]
    assert cache.read_text() == "a file"


def test_the_record_stays_small(runs: Runs, cache: Path) -> None:
    cache.mkdir()
    old = [f"{number:064x}" for number in range(MAX_RECORDS)]
    (cache / RECORD).write_text("".join(f"{line}\n" for line in old))
    assert [runs.of_a_new_process() for _ in range(2)] == [1, 0]
    lines = (cache / RECORD).read_text("ascii").splitlines()
    assert lines[:-1] == old[1:]


def test_two_processes_at_once(runs: Runs, cache: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(MODEL)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["done\n", "done\n"]
    assert [path.name for path in cache.iterdir()] == [RECORD]
    assert runs.of_a_new_process() == 0
