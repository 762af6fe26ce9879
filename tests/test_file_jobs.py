"""The runner over many files: where outputs go, what is kept and skipped, memory, and Ctrl-C."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from isthmus.errors import DataError, ExistsError, OutputError
from isthmus.file_jobs import (
    FileJob,
    InputFiles,
    Report,
    expand_inputs,
    plan_companions,
    plan_outputs,
    reserve_memory,
    run_jobs,
)
from isthmus.interruption import Interruption
from isthmus.progress import Task


class Recorder(Task):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float] = []

    def update(self, done: float, text: str = "") -> None:  # noqa: ARG002
        self.shares.append(done)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(count: int, out: str = "out/") -> list[FileJob]:
    files = [(Path(f"{i}.in"), f"{i}.in") for i in range(count)]
    return plan_outputs(files, out, suffix=".txt", suffixes=(".txt", ".md"), force=False)


def write(job: FileJob, report: Report) -> str:
    report(0.5)
    job.target.parent.mkdir(exist_ok=True)
    job.target.write_text(job.name)
    return job.name


def test_inputs_are_files_folders_or_one_of_them() -> None:
    Path("d").mkdir()
    inside = InputFiles(((Path("d/x"), "x"),))
    for given in (["a", "d"], (Path("a"), Path("d"))):
        assert expand_inputs(given, lambda _: inside).files == ((Path("a"), "a"), (Path("d/x"), "x"))
    assert expand_inputs("a", lambda _: inside).files == ((Path("a"), "a"),)
    with pytest.raises(DataError, match="no files"):
        expand_inputs([], lambda _: inside)
    with pytest.raises(DataError, match="no name"):
        expand_inputs("", lambda _: inside)  # not the current folder


def test_an_output_is_a_file_for_one_input_or_a_folder() -> None:
    assert [job.target for job in plan(1, "x.md")] == [Path("x.md")]
    for out in ("x", "x/", "x.d/"):
        assert [job.target for job in plan(1, out)] == [Path(out, "0.txt")]
    assert [job.target for job in plan(2, "x.d")] == [Path("x.d/0.txt"), Path("x.d/1.txt")]
    with pytest.raises(OutputError, match="names one file"):
        plan(2, "x.md")
    with pytest.raises(OutputError, match=r"must end with one of \.md, \.txt") as caught:
        plan(1, "x.doc")
    assert str(caught.value.hint) == "for a folder write x.doc/"
    Path("x.md").touch()
    with pytest.raises(ExistsError):
        plan(1, "x.md")


def test_existing_outputs_are_kept_and_failures_collected() -> None:
    jobs = plan(4)
    write(jobs[1], lambda _: None)

    def work(job: FileJob, report: Report) -> str:
        if job.index == 2:
            raise DataError(f"{job.source}: is broken")
        return write(job, report)

    task = Recorder()
    outcomes = run_jobs(jobs, work, force=False, task=task, stop=Interruption(), workers=2)
    assert [item.value for item in outcomes] == ["0.in", None, None, "3.in"]
    assert [item.kept for item in outcomes] == [False, True, False, False]
    assert outcomes[2].skipped is not None and outcomes[2].skipped.reason == "is broken"
    assert task.shares[-1] == 4 and 0.5 in {share % 1 for share in task.shares}
    with pytest.raises(DataError):
        run_jobs(jobs[2:3], work, force=False, task=task, stop=Interruption())


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_what_is_done_and_says_how_many(
    workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    def work(job: FileJob, report: Report) -> str:
        if job.index == 3:
            raise KeyboardInterrupt
        return write(job, report)

    jobs = plan(40)
    stop = Interruption()
    with caplog.at_level(logging.WARNING):
        outcomes = run_jobs(jobs, work, force=False, task=Task(), stop=stop, workers=workers)
    done = len(list(Path("out").iterdir()))
    assert 3 <= done < 40 and not stop.complete
    written = sorted((path.stem for path in Path("out").iterdir()), key=int)
    assert [item.value for item in outcomes] == [f"{name}.in" for name in written]
    assert caplog.messages == [f"interrupted: {done} of 40 files done; the same call does the rest"]
    with pytest.raises(KeyboardInterrupt, match="interrupted: 0 of 2 files done"):
        run_jobs([jobs[3]] * 2, work, force=False, task=Task(), stop=Interruption(), workers=workers)
    again = run_jobs(jobs, write, force=False, task=Task(), stop=Interruption())
    assert sum(item.kept for item in again) == done and len(list(Path("out").iterdir())) == 40


def test_files_in_work_share_a_budget_of_memory() -> None:
    held = [0, 0]  # now, and the most
    lock = threading.Lock()

    def work(job: FileJob, _: Report) -> str:
        size = 30 if job.index % 5 else 200  # the larger one is beyond the limit: it runs alone
        with reserve_memory(size, 100):
            with lock:
                held[0] += size
                held[1] = max(held[1], held[0] if size < 100 else 0)
                assert held[0] <= 100 or held[0] == size
            time.sleep(0.002)
            with lock:
                held[0] -= size
        return job.name

    assert len(run_jobs(plan(30), work, force=False, task=Task(), stop=Interruption(), workers=8)) == 30
    assert held[0] == 0 and 30 <= held[1] <= 90


def test_a_companion_is_no_result_of_another_job_and_replaces_nothing(tmp_path: Path) -> None:
    files = [(Path(name), name) for name in ("a.png", "A-compare.png", "b.png")]
    jobs = plan_outputs(files, tmp_path, suffix=".png", suffixes=(".png",), force=False)
    (tmp_path / "b-compare.png").write_text("mine")
    companions = [job.companion for job in plan_companions(jobs, "-compare.png", force=False)]
    assert [item.name for item in companions if item] == [
        "a-compare-2.png",
        "A-compare-compare.png",
        "b-compare-2.png",
    ]
    forced = plan_companions(jobs, "-compare.png", force=True)
    assert forced[2].companion == tmp_path / "b-compare.png"


@pytest.mark.parametrize("name", ["x.heic", "x.JXL", "x.png", "x.csv"])
def test_several_files_are_not_written_into_a_folder_named_as_a_file(tmp_path: Path, name: str) -> None:
    files = [(Path("a.png"), "a.png"), (Path("b.png"), "b.png")]
    with pytest.raises(OutputError, match="name"):
        plan_outputs(files, tmp_path / name, suffix=".png", suffixes=(".png",), force=False)
    (tmp_path / name).mkdir()
    assert len(plan_outputs(files, tmp_path / name, suffix=".png", suffixes=(".png",), force=False)) == 2
