"""Several processes take the steps that one takes, one of them writes, and losing one loses no work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import isthmus
from isthmus.errors import Stopped
from isthmus.model.autoencoder import Autoencoder
from isthmus.training import state as states
from isthmus.training.data_parallel import SharedDraws

from .cases import pictures, run_training, stop_after
from .together import CASES, STEPS, train

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,  # groups of processes, each of which imports torch
    pytest.mark.skipif(
        sys.platform == "win32" or not dist.is_available() or not dist.is_gloo_available(),
        reason="needs gloo and POSIX signals",
    ),
]


def torchrun(count: int, *words: str, folder: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "ISTHMUS_CACHE": str(folder / "cache"),
    }
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *words]
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases trained by two processes, after one process had begun a training."""
    place = tmp_path_factory.mktemp("several")
    (place / "alone").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            train("conv", place, steps=STEPS)
    for suffix in ("safetensors", "resume.safetensors"):
        left = place / f"conv.{suffix}"
        if left.exists():
            left.rename(place / f"begun.{suffix}")
    run = torchrun(2, "-m", "tests.training.together", str(place), folder=place)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, out + err
    return place


def difference(model: Autoencoder, other: Autoencoder) -> float:
    first, second = model.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    return max(float((first[k].float() - second[k].float()).abs().max()) for k in first)


@pytest.mark.parametrize("name", [name for name in CASES if name != "adam"])
def test_two_processes_take_the_steps_of_one(name: str, folder: Path) -> None:
    train(name, folder / "alone")
    alone = isthmus.load(folder / "alone" / f"{name}.safetensors")
    together = isthmus.load(folder / "together" / f"{name}.safetensors")
    assert difference(alone, together) < 1e-5
    for own_row, other in zip(alone.summary["history"], together.summary["history"], strict=True):
        assert other == pytest.approx(own_row, rel=1e-4, abs=1e-6)


def test_with_adam_the_losses_agree(folder: Path) -> None:
    train("adam", folder / "alone")
    alone = isthmus.load(folder / "alone/adam.safetensors").summary["best"]
    together = isthmus.load(folder / "together/adam.safetensors").summary["best"]
    assert together["validation"] == pytest.approx(alone["validation"], rel=1e-3)


def test_what_one_process_began_two_can_finish(folder: Path) -> None:
    finished = isthmus.load(folder / "begun.safetensors")
    straight = isthmus.load(folder / "together/conv.safetensors")
    assert difference(finished, straight) < 1e-5
    assert not states.resume_path(folder / "begun.safetensors").exists()


def test_what_cannot_work_is_said_by_one_process(folder: Path) -> None:
    first, second = (json.loads((folder / f"refused-{i}.json").read_text()) for i in range(2))
    assert "UsageError: a recipe with batch normalisation cannot" in first["norm"]
    assert "2 processes cannot share steps of 1 image" in first["few"]
    assert "no such file" in first["missing"]
    assert first["one"] == ""
    assert "ProcessError: process 1 of 2: array has no labels" in second["one"]
    assert "ProcessError: process 1 of 2: array holds other images" in second["other"]
    assert [second[name] for name in ("norm", "few", "missing")] == [""] * 3


def test_processes_whose_clocks_differ_follow_the_first(folder: Path) -> None:
    first, second = (json.loads((folder / f"timed-{i}.json").read_text()) for i in range(2))
    assert first == second
    assert first["knots"][-1] == [first["steps"], 1.0]
    assert len(first["knots"]) > 5


def test_one_process_speaks_and_the_run_ends_well(tmp_path: Path) -> None:
    data, out = tmp_path / "data.npy", tmp_path / "m.safetensors"
    np.save(data, pictures(60))
    words = ["train", str(data), "--recipe", "dense", "--code", "8", "--precision", "float32"]
    run = torchrun(2, "-m", "isthmus", *words, "--steps", "5", "-o", str(out), "--json", folder=tmp_path)
    output, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert json.loads(output)["steps"] == 5  # one object, not two
    assert err.count("2 processes share every step") == 1
    assert isthmus.load(out).summary["steps"] == 5


def test_a_killed_process_leaves_one_line_and_a_state_that_another_count_resumes(tmp_path: Path) -> None:
    data, out = tmp_path / "data.npy", tmp_path / "m.safetensors"
    np.save(data, pictures(60))
    words = ["train", str(data), "--recipe", "dense", "--code", "8", "--precision", "float32"]
    words += ["--steps", "1000000", "-o", str(out)]
    run = torchrun(2, "-m", "isthmus", *words, folder=tmp_path)
    state = states.resume_path(out)
    try:
        worker = victim(run)
        os.kill(worker, signal.SIGKILL)
        output, err = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode != 0
    assert output == ""
    lines = [line for line in err.splitlines() if line.startswith("isthmus: ")]
    assert len(lines) == 1, err
    match = re.search(
        r"one of 2 processes was lost after step (\d+) of 1000000; the state is saved", lines[0]
    )
    assert match is not None, err
    saved = states.load(state)
    assert saved.facts["state"]["step"] == int(match[1]) > 0
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stopped):  # one process goes on
            run_training(str(data), out=out, resume=True)
    assert states.load(state).facts["state"]["step"] == int(match[1]) + 3


def victim(run: subprocess.Popen[str]) -> int:
    """The second worker, once steps are being taken: progress is first shown after a step."""
    assert run.stderr is not None
    values = []
    for line in run.stderr:
        values.append(line)
        if line.startswith("training: "):
            break
    else:
        raise AssertionError("".join(values))
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if parent == str(run.pid) and b"RANK=1" in environment:
                return int(entry.name)
    pytest.skip("needs /proc to find the worker")


def test_draws_are_parts_of_those_for_all() -> None:
    def draws(count: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [
            torch.randn((count, 3, 5), generator=generator),
            torch.rand(count, generator=generator),
            torch.rand(count, 2, generator=generator),
            torch.randint(3, 9, (count,), generator=generator),
            torch.randint(9, (count, 4), generator=generator),
        ]

    all_draws = draws(7)
    for part in (slice(0, 3), slice(3, 7)):
        with SharedDraws(part, 7):
            own = draws(part.stop - part.start)
            other = torch.rand(2, generator=torch.Generator().manual_seed(2))
        assert all(torch.equal(o, w[part]) for o, w in zip(own, all_draws, strict=True))
        assert torch.equal(other, torch.rand(2, generator=torch.Generator().manual_seed(2)))
