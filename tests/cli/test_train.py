"""`isthmus train`: what is chosen is said, what is skipped is named, what is interrupted goes on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.api.training import default_model_path

from .conftest import QUICK

Capture = pytest.CaptureFixture[str]
Document = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("data", "model"),
    [
        ("photos/", "photos.safetensors"),
        ("mnist:train", "mnist.safetensors"),
        ("a/b/tiles.npz", "tiles.safetensors"),
        ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.safetensors"),
        ("cat.v2.jpeg", "cat.v2.safetensors"),
    ],
)
def test_the_model_is_named_after_the_data(
    data: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if data.endswith("/"):
        Path(data).mkdir()
    elif ":" not in data:
        Path(data).parent.mkdir(parents=True, exist_ok=True)
        Path(data).touch()
    assert default_model_path(data) == model


def test_the_working_folder_gives_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_model_path(".") == f"{tmp_path.name}.safetensors"


def test_every_choice_is_said_and_every_next_command_works(here: Path, capsys: Capture) -> None:
    assert main(["train", "photos", *QUICK, "-o", "out/m.safetensors"]) == 0
    out, err = capsys.readouterr()
    assert "9 gray images of 12×12 to train on, 1 to validate on" in err
    assert "precision float32, as asked" in err
    assert "recipe dense, code 3" in err
    assert re.search(r"images/s  loss [\d.e-]+  validation [\d.e-]+", err)
    assert "model: out/m.safetensors" in out
    commands = [line.strip() for line in err.splitlines() if line.startswith("  isthmus ")]
    assert len(commands) == 3
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    assert (here / "out" / "m.html").exists()


@pytest.mark.usefixtures("here")
def test_new_images_are_the_first_use_of_a_generative_model(capsys: Capture) -> None:
    thin = ["--recipe", "generative", "--code", "3", "--set", "backbone.width=4-8", "--steps", "4"]
    assert main(["train", "photos", *thin, "-o", "m.safetensors"]) == 0
    lines = capsys.readouterr().err.splitlines()
    commands = [line.strip() for line in lines if line.startswith("  isthmus ")]
    assert main(shlex.split(commands[0])[1:]) == 0
    assert Path("m-new.png").exists()


def test_an_existing_model_is_not_overwritten(here: Path, capsys: Capture) -> None:
    before = (here / "photos.safetensors").read_bytes()
    assert main(["train", "photos", *QUICK]) == 1
    assert "--force" in capsys.readouterr().err
    assert (here / "photos.safetensors").read_bytes() == before
    assert main(["train", "photos", *QUICK, "--seed", "1", "--force"]) == 0
    assert (here / "photos.safetensors").read_bytes() != before


def test_broken_images_are_named_and_the_exit_code_says_so(
    here: Path, capsys: Capture, document: Document
) -> None:
    (here / "photos" / "left" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    result = document("train", "photos", *QUICK, "-o", "m.safetensors", code=3)
    assert [item["name"] for item in result["skipped"]] == ["left/broken.png"]
    assert (here / "m.safetensors").exists()
    assert main(["train", "photos", *QUICK, "-o", "n.safetensors"]) == 3
    err = capsys.readouterr().err
    assert "left/broken.png" in err.split("try next")[1]


@pytest.mark.usefixtures("here")
def test_the_file_records_what_was_asked() -> None:
    words = ["--size", "8x10", "--seed", "7", "--validation", "0.5", "--balance", "--patience", "3"]
    assert main(["train", "photos", *QUICK, *words, "-o", "m.safetensors"]) == 0
    model = isthmus.load("m.safetensors")
    assert model.size == (8, 10)
    assert model.summary["options"] | {"size": None} == model.summary["options"] | {
        "size": None, "seed": 7, "validation": 0.5, "balance": True, "patience": 3, "steps": 4,
    }  # fmt: skip
    assert model.recipe.backbone.to_dict()["width"] == [8]


@pytest.mark.usefixtures("here")
def test_a_training_can_begin_with_another_models_weights() -> None:
    words = ["train", "photos", *QUICK, "--steps", "1", "--set", "optimiser.rate=0", "-o", "m.safetensors"]
    assert main([*words, "--from", "photos.safetensors"]) == 0
    images = np.full((1, 12, 12), 0.3, np.float32)
    first, second = isthmus.load("photos.safetensors"), isthmus.load("m.safetensors")
    np.testing.assert_allclose(second.reconstruct(images), first.reconstruct(images), atol=1e-6)


def test_a_dry_run_measures_and_writes_nothing(here: Path, document: Document, capsys: Capture) -> None:
    before = sorted(here.rglob("*"))
    words = [
        "train",
        "photos",
        "--code",
        "4@4",
        "--set",
        "backbone.width=8",
        "--steps",
        "50",
        "--precision",
        "float32",
    ]
    result = document(*words, "--dry-run")
    assert sorted(here.rglob("*")) == before
    assert result["image"] == [1, 12, 12]
    assert result["code"] == [4, 3, 3]
    assert result["steps"] == 50
    assert 0 < result["seconds_per_step"] == pytest.approx(result["seconds"] / 50)
    assert result["stages"][-1]["part"] == "decoder"
    inner = sum(stage["parameters"] for stage in result["stages"])
    assert inner == result["parameters_encoder"] + result["parameters_decoder"]
    assert result["activations"] > 0
    assert main([*words, "--dry-run"]) == 0
    assert "4×3×3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["train", "photos.safetensors"],
            "photos.safetensors is a model file, but images are expected in its place",
        ),
        (["train", "photos", "--from", "photos"], "photos is not a model file but images"),
        (["train", "photos", "--size", "0x4"], "'0x4' is not a size"),
        (["train", "photos", "--recipe", "cnv"], "did you mean 'conv'?"),
        (["train", "photos", "--set", "backbone.widht=8"], "did you mean 'width'?"),
        (["train", "photos", "--steps", "3", "--epochs", "3"], "give only one length"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_slip_is_a_usage_error_with_a_way_out(words: list[str], message: str, capsys: Capture) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


class TestInterrupted:
    """A real process and real signals."""

    WORDS = (
        "train",
        "photos",
        "--recipe",
        "dense",
        "--set",
        "backbone.width=8",
        "--code",
        "3",
        "--precision",
        "float32",
    )

    @staticmethod
    def start(*words: str) -> subprocess.Popen[str]:
        root = Path(isthmus.__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "isthmus", *words],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    @staticmethod
    def wait_for_training(process: subprocess.Popen[str]) -> str:
        assert process.stderr is not None
        said, line = "", ""
        while not line.startswith("training:"):  # "a short training: …" is a note
            line = process.stderr.readline()
            assert line, said
            said += line
        return said

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
    def test_ctrl_c_saves_and_the_printed_command_goes_on(self, here: Path, capsys: Capture) -> None:
        process = self.start(*self.WORDS, "-o", "m.safetensors", "--steps", "200000", "--patience", "0")
        self.wait_for_training(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        stopped = re.search(r"stopped at step (\d+) of 200000", err)
        assert stopped is not None, err
        hint = next(line for line in err.splitlines() if line.startswith("hint: isthmus "))
        assert (here / "m.resume.safetensors").exists()
        assert not (here / "m.safetensors").exists()
        again = self.start(*shlex.split(hint.removeprefix("hint: isthmus ")))
        self.wait_for_training(again)
        again.send_signal(signal.SIGINT)
        _, err = again.communicate(timeout=60)
        later = re.search(r"stopped at step (\d+) of 200000", err)
        assert later is not None, err
        assert int(later[1]) > int(stopped[1])
        assert main([*self.WORDS, "-o", "m.safetensors", "--steps", "3"]) == 1
        err = capsys.readouterr().err
        assert "start again with force" in err and "--resume" in err

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
    @pytest.mark.usefixtures("here")
    def test_a_second_ctrl_c_quits_at_once(self) -> None:
        # A step without an end: only the second signal can end it. After the first, the handler is another.
        code = (
            "import signal, sys\n"
            "from isthmus.training.trainer import Trainer\n"
            "from isthmus.__main__ import main\n"
            "def slow(self):\n"
            "    handler = signal.getsignal(signal.SIGINT)\n"
            "    print('training: slow', file=sys.stderr, flush=True)\n"
            "    while signal.getsignal(signal.SIGINT) is handler:\n"
            "        pass\n"
            "    print('training: first signal', file=sys.stderr, flush=True)\n"
            "    while True:\n"
            "        signal.pause()\n"
            "Trainer.train_step = slow\n"
            f"sys.exit(main({[*self.WORDS, '-o', 'm.safetensors', '--steps', '5']!r}))\n"
        )
        root = Path(isthmus.__file__).parents[1]
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self.wait_for_training(process)
        process.send_signal(signal.SIGINT)
        self.wait_for_training(process)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "interrupted" in err
        assert "Traceback" not in err
