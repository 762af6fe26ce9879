"""One job at a time, a queue that has an end, and memory that has one too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

from fastapi.testclient import TestClient

from isthmus.errors import OutputError, UsageError
from isthmus.log import SkippedInput, log_note, log_skipped
from isthmus.messages import Message
from isthmus.progress import start_task
from isthmus.web.jobs import BusyPageError, Job, JobQueue
from isthmus.web.page import Page
from isthmus.web.store import FileStore


def test_jobs_run_one_after_another() -> None:
    jobs = JobQueue()
    running = most = 0
    lock = threading.Lock()

    def work(job: Job) -> str:  # noqa: ARG001
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1
        return "done"

    made = [jobs.submit(work) for _ in range(10)]
    assert all(job.finished.wait(10) for job in made)
    assert (most, {job.result for job in made}) == (1, {"done"})
    jobs.close()


def test_a_full_queue_says_so_and_empties_again() -> None:
    jobs = JobQueue(max_waiting=2)
    go = threading.Event()
    first = jobs.submit(lambda _: go.wait(10))
    while first.state != "running":
        pass
    made = [jobs.submit(lambda _: 1), jobs.submit(lambda _: 2)]
    with pytest.raises(BusyPageError) as caught:
        jobs.submit(lambda _: 3)
    assert (caught.value.id, caught.value.fields) == ("page.busy", {"waiting": 2})
    go.set()
    assert all(job.finished.wait(10) for job in made)
    assert jobs.submit(lambda _: 4).finished.wait(10)
    jobs.close()


def test_a_job_shows_how_far_it_is_and_can_be_cancelled() -> None:
    jobs = JobQueue()
    reached, go_on = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        with start_task(job, "counting", 10) as task:
            task.update(4, "four")
            reached.set()
            go_on.wait(10)
            task.update(5)

    job = jobs.submit(work)
    assert reached.wait(10)
    assert (job.state, job.label, job.done, job.total, job.text) == ("running", "counting", 4, 10, "four")
    job.cancel()
    go_on.set()
    assert job.finished.wait(10)
    assert job.state == "cancelled"
    jobs.close()


def test_a_fault_ends_a_job_and_not_the_queue(
    client: TestClient, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(job: Job) -> None:  # noqa: ARG001
        raise ZeroDivisionError("secret detail")

    job = page.jobs.submit(fail)
    assert job.finished.wait(10)
    answer = client.get(f"/api/jobs/{job.key}")
    assert answer.status_code == 500
    assert answer.json()["error"]["id"] == "page.fault" and "secret" not in answer.text
    assert "internal error of the page" in caplog.text
    assert client.get(f"/api/jobs/{job.key}").status_code == 404


def test_finished_jobs_are_not_kept_for_ever() -> None:
    jobs = JobQueue()
    made = []
    for _ in range(200):
        made.append(jobs.submit(lambda _: 0))
        assert made[-1].finished.wait(10)
    with pytest.raises(UsageError):
        jobs.get(made[0].key)
    assert jobs.get(made[-1].key) is made[-1]
    jobs.close()


def test_a_job_keeps_what_the_library_noted() -> None:
    def work(_: Job) -> str:
        log_note("{name} is used: {reason}", id="denoise.model", name="a", reason="gray")
        log_skipped([SkippedInput("b.png", Message("empty (0 bytes)", id="image-file.empty"))])
        return "done"

    jobs = JobQueue()
    job = jobs.submit(work)
    assert job.finished.wait(10) and job.result == "done"
    assert [(note["id"], note["text"]) for note in job.notes] == [
        ("denoise.model", "a is used: gray"),
        ("page.skipped", "b.png was skipped: empty (0 bytes)"),
    ]
    assert job.notes[1]["fields"]["reason"]["id"] == "image-file.empty"
    again = jobs.submit(lambda _: 0)
    assert again.finished.wait(10) and again.notes == []
    jobs.close()


def test_the_store_has_an_end(tmp_path: Path) -> None:
    store = FileStore(lambda: tmp_path, max_bytes=1_000)
    keys = [store.add(bytes([number]) * 300, "image/png", "a.png") for number in range(5)]
    assert store.bytes <= 1_000
    with pytest.raises(UsageError) as caught:
        store.get(keys[0])
    assert caught.value.id == "page.file-gone"
    assert store.get(keys[-1]).content == b"\x04" * 300
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == store.bytes  # nothing is left behind
    assert store.add(b"\x04" * 300, "image/png", "a.png") == keys[-1]


def test_the_store_holds_so_many_files(tmp_path: Path) -> None:
    store = FileStore(lambda: tmp_path, max_files=3)
    keys = [store.add(bytes([number]), "image/png", "a.png") for number in range(10)]
    assert len(list(tmp_path.iterdir())) == 3
    assert [store.get(key).content for key in keys[-3:]] == [b"\x07", b"\x08", b"\x09"]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    store = FileStore(lambda: tmp_path / "absent")
    with pytest.raises(OutputError) as caught:
        store.add(b"1", "image/png", "a.png")
    assert caught.value.id == "page.disk"
    assert store.bytes == 0


def test_a_hundred_requests_at_once_are_answered(client: TestClient) -> None:
    def ask(number: int) -> int:
        if number % 2:
            return int(
                client.get("/api/data-file", params={"name": "shapes/bars/01.png", "small": True}).status_code
            )
        return int(
            client.post(
                "/api/do/look", json={"model": "shapes", "image": "data:shapes/bars/01.png"}
            ).status_code
        )

    client.post("/api/do/look", json={"model": "shapes", "image": "data:shapes/bars/01.png"})
    with ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(ask, range(100)))
    assert set(codes) <= {200, 202, 503}
    assert codes.count(200) >= 50
    assert client.get("/api/about").status_code == 200
