"""Ctrl-C keeps what is done in every use: one rule, in Python and in the shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from cli.conftest import QUICK as QUICK_TRAINING

import isthmus
from isthmus.__main__ import main
from isthmus.api.result import Result
from isthmus.interruption import Interruption, undivided
from isthmus.progress import Task

from .interrupted_uses import CASES, MANY, MODEL, Case, write_inputs

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def raise_here() -> None:
    raise KeyboardInterrupt


def send_signal() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class _Task(Task):
    def __init__(self, label: str, total: float, interrupt: Callable[[], None] | None, at: int) -> None:
        super().__init__(label, total)
        self._interrupt, self._left = interrupt, at

    def update(self, done: float, text: str = "") -> None:  # noqa: ARG002
        self._left -= 1
        if self._interrupt is not None and self._left == 0:
            self._interrupt()


class InterruptingProgress:
    """Interrupts at an update of the job with a label."""

    def __init__(self, label: str, at: int, interrupt: Callable[[], None] = raise_here) -> None:
        self._label, self._at, self._interrupt = label, at, interrupt

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        return _Task(label, total, self._interrupt if label == self._label else None, self._at)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images of all cases and a model; not to be changed."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "photos", *QUICK_TRAINING, "--quiet"]) == 0
    return folder


@pytest.fixture
def folder(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # On a busy machine an update would come after one picture, not after a batch of them.
    monkeypatch.setattr("isthmus.api.anomaly_detection._SECONDS_BETWEEN_UPDATES", 3600)
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_part(case: Case, result: Result) -> None:
    """What every incomplete result says."""
    assert not result.complete
    assert result.interruption is not None and result.interruption in result.notes
    done, total = (int(result.interruption.fields[name]) for name in ("done", "total"))  # type: ignore[attr-defined]
    assert 0 < done < total
    assert case.done is None or case.done == (done, total)
    assert result.interruption.startswith(f"interrupted: {done:,} of {total:,} ")
    assert result.to_dict()["complete"] is False
    assert "complete=False" in repr(result)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("interrupt", [raise_here, pytest.param(send_signal, marks=POSIX)])
@pytest.mark.parametrize("name", CASES)
def test_a_use_returns_what_is_done(name: str, interrupt: Callable[[], None]) -> None:
    case = CASES[name]
    check_part(case, case.call(InterruptingProgress(case.label, case.at, interrupt)))


# ---------------------------------------------------------------- what the parts hold


def run_part(name: str) -> Any:
    case = CASES[name]
    return case.call(InterruptingProgress(case.label, case.at))


@pytest.mark.usefixtures("folder")
def test_parts_of_embed_anomalies_and_evaluate_are_those_of_the_whole_call() -> None:
    part, complete_result = run_part("embed, code"), isthmus.embed(MODEL, "many.npy", what="code")
    assert part.vectors.shape == (256, 3) and part.names == complete_result.names[:256]
    np.testing.assert_array_equal(part.vectors, complete_result.vectors[:256])

    part, scored = run_part("anomalies"), isthmus.anomalies(MODEL, "many.npy", normal="photos")
    np.testing.assert_array_equal(part.scores, scored.scores[:256])
    assert part.names == scored.names[:256] and part.images == 256 and len(part.flagged) == 256

    part, measured = run_part("evaluate"), isthmus.evaluate(MODEL, "many.npy", reference="photos")
    count = len(part.names)
    assert part.data.images == count < MANY and part.gap is None
    np.testing.assert_allclose(part.scores["mse"], measured.scores["mse"][:count], rtol=1e-6)
    assert part.metrics["mse"] == pytest.approx(part.scores["mse"].mean())
    assert max(part.worst(10)) < count


@pytest.mark.usefixtures("folder")
def test_the_rest_of_an_index_is_made_by_the_same_call() -> None:
    part = run_part("search")
    assert part.index == Path("x.index") and part.added == part.images < MANY
    assert all(match.row < part.images for match in part.matches[0])
    rest = isthmus.search(MODEL, "many.npy", "photos/left/1.png", index="x.index")
    assert rest.complete and rest.added == MANY - part.added and rest.removed == 0
    once = isthmus.search(MODEL, "many.npy", "photos/left/1.png")
    assert [match.row for match in rest.matches[0][:3]] == [match.row for match in once.matches[0][:3]]


@pytest.mark.usefixtures("folder")
def test_finished_contenders_trials_and_images_are_kept() -> None:
    compared = run_part("compare")
    assert {row.name for row in compared.contenders} == {"dense", "PCA", "mean image"}
    assert [row.trainings for row in compared.contenders if row.name == "dense"] == [1]
    tuned = run_part("tune")
    assert [trial.state for trial in tuned.trials] == ["done", "running"] and tuned.best == {"code": "1"}
    grouped = run_part("cluster")
    assert list(grouped.agreement) == ["features"] and len(grouped.assigned) == 24
    classified = run_part("classify")
    assert list(classified.scores) and len(classified.scores) == 1 and len(classified.predicted) == 24
    made = run_part("augment")
    assert made.classes == {"left": 5, "right": 0} and made.wanted == 20
    explained = run_part("explain")
    assert set(explained.maps) == {"gradient", "occlusion"} and len(explained.units) == 2
    audited = run_part("audit")
    assert audited.duplicates.near == 0 and "near duplicates were not looked for" in audited.interruption


@pytest.mark.usefixtures("folder")
def test_files_that_are_written_are_in_the_result_and_the_same_call_does_the_rest() -> None:
    part = run_part("denoise_files")
    assert [file.output for file in part.files] == [str(Path("out", part.files[0].name))]
    assert Path(part.files[0].output).is_file()
    rest = isthmus.denoise_files("photos", sigma=10, out="out", workers=1)
    assert rest.complete and rest.already_there == 1 and len(rest.files) == 23


@pytest.mark.usefixtures("folder")
def test_a_flow_is_kept_as_it_is_then_unless_the_model_has_one() -> None:
    part = run_part("fit_prior")
    steps = part.facts["steps"]
    assert 0 < steps < 400 and isthmus.load(MODEL).attachments["prior/flow"].facts["steps"] == steps
    assert isthmus.generate(MODEL, 3, prior="flow").count == 3
    isthmus.fit_prior(MODEL, "photos", components=2, steps=30, width=8)
    with pytest.raises(
        KeyboardInterrupt, match="of 400 steps done; the earlier prior/flow of the model stays"
    ):
        run_part("fit_prior")
    assert isthmus.load(MODEL).attachments["prior/flow"].facts["steps"] == 30


@pytest.mark.usefixtures("folder")
def test_a_map_falls_back_to_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn.manifold.TSNE.fit_transform", interrupted)
    part = isthmus.code_map(MODEL, "photos")
    assert (part.method, part.complete, len(part.points)) == ("pca", False, 24)
    assert part.explained is not None and "by PCA" in str(part.interruption)


@pytest.mark.usefixtures("folder")
def test_the_demo_keeps_its_model_and_the_page_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.api import demonstration

    def train_quickly(data: str, **_: object) -> isthmus.Autoencoder:
        return isthmus.train(data, recipe="dense", code="4", steps=2, settings=["backbone.width=4"])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demonstration, "train", train_quickly)
    monkeypatch.setattr(demonstration, "_explain", interrupted)
    part = demonstration.run_demo("demo")
    assert part.interruption == "interrupted: 3 of 7 parts done"
    assert part.evaluation is not None and part.features is not None and part.explanation is None
    assert Path(part.model).is_file() and "Reconstructions" in Path(part.report).read_text()
    assert part.to_dict()["generation"] is None


# ---------------------------------------------------------------- the rule itself


@pytest.mark.usefixtures("folder")
def test_without_a_finished_part_keyboard_interrupt_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt, match="interrupted: 0 of 4 groupings done"):
        CASES["cluster"].call(InterruptingProgress("clustering", 1))
    with pytest.raises(KeyboardInterrupt):
        isthmus.denoise(np.zeros((12, 12), np.uint8), sigma=10, progress=InterruptingProgress("denoising", 1))


@pytest.mark.usefixtures("folder")
def test_a_use_inside_of_another_does_not_keep_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation that is interrupted within a comparison is no measurement of that contender."""
    from isthmus.evaluation import measure

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "image_scores", interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted: 0 of 1 training done"):
        isthmus.compare("photos", ["dense"], code="2", steps=2)


@POSIX
def test_changes_that_belong_together_are_not_divided() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with undivided():
            send_signal()
            done.append(1)
        done.append(2)
    assert done == [1]
    with Interruption() as stop, undivided():
        pass
    assert not stop.happened and stop.complete


# ---------------------------------------------------------------- the shell: signals to a process


@dataclass
class _Shell:
    """A process that runs commands one after another; see `interrupted_process.py`."""

    process: subprocess.Popen[str]
    errors: IO[str]
    output: IO[str]
    input: IO[str]

    def run(self, folder: Path, case: Case, number: signal.Signals) -> tuple[int, dict[str, Any], str]:
        """Exit code, JSON document and messages of a command that gets a signal at its place."""
        job = {"folder": str(folder), "words": [*case.words, "--json"], "label": case.label, "at": case.at}
        print(json.dumps(job), file=self.input, flush=True)
        while (line := self.errors.readline()) != "READY\n":
            assert line != "END\n", "the command came to its end"
        self.process.send_signal(number)
        messages = []
        while (line := self.errors.readline()) != "END\n":
            messages.append(line)
        document = json.loads(self.output.readline())
        return int(self.output.readline()), document, "".join(messages)


@pytest.fixture(scope="module")
def shell() -> Iterator[_Shell]:
    script = Path(__file__).with_name("interrupted_process.py")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        yield _Shell(process, process.stderr, process.stdout, process.stdin)
        process.stdin.close()


@POSIX
@pytest.mark.parametrize("name", CASES)
def test_the_shell_shows_and_saves_what_is_done(name: str, folder: Path, shell: _Shell) -> None:
    case = CASES[name]
    number = signal.SIGTERM if sorted(CASES).index(name) % 2 else signal.SIGINT
    code, document, messages = shell.run(folder, case, number)
    assert code == 130
    assert document["complete"] is False
    (note,) = [note for note in document["notes"] if note.startswith("interrupted: ")]
    assert messages.splitlines()[-1] == f"isthmus: {note}"
    assert case.out is None or (folder / case.out).exists()


@POSIX
def test_the_shell_says_that_nothing_is_done(folder: Path, shell: _Shell) -> None:
    case = Case(CASES["cluster"].call, CASES["cluster"].words, "clustering", at=1)
    code, document, messages = shell.run(folder, case, signal.SIGINT)
    assert (code, document) == (130, {})
    assert messages.splitlines()[-1] == "isthmus: interrupted: 0 of 4 groupings done"
