"""`--shape`: images that are rows of numbers, in every command, as `FILE.npy:28x28` is read in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main

ROWS = np.random.default_rng(0).integers(0, 256, (30, 784), dtype=np.uint8)
TRAIN = ("--recipe", "dense", "--code", "2", "--steps", "2", "--quiet")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", ROWS)
    np.savez(
        "rows.npz", x_train=ROWS[:20], x_test=ROWS[20:], y_train=ROWS[:20, 0] % 3, y_test=ROWS[20:, 0] % 3
    )


def test_rows_are_trained_on_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rows.npy", *TRAIN, "-o", "m.safetensors"]) == 1
    assert "--shape 28x28" in capsys.readouterr().err
    assert main(["train", "rows.npy", "--shape", "28x28", *TRAIN, "-o", "m.safetensors"]) == 0
    capsys.readouterr()
    assert main(["embed", "m.safetensors", "rows.npz:test", "--shape", "28x28", "-o", "e.npz", "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    result = isthmus.embed("m.safetensors", "rows.npz:test:28x28")
    np.testing.assert_array_equal(np.load("e.npz")["vectors"], result.vectors)
    assert reported["images"] == result.to_dict()["images"]


def test_options_that_name_files_have_the_shape_too() -> None:
    model = isthmus.train("rows.npy:28x28", recipe="dense", code="2", steps=2, out="m.safetensors")
    words = ["anomalies", "m.safetensors", "rows.npy", "--normal", "rows.npz", "--shape", "28x28"]
    assert main([*words, "--score", "reconstruction", "-o", "scores.csv", "--quiet"]) == 0
    expected = isthmus.anomalies(model, "rows.npy:28x28", normal="rows.npz:28x28", score="reconstruction")
    lines = Path("scores.csv").read_text().splitlines()
    assert len(lines) == 1 + len(expected.scores)


def test_colour_rows_and_files_of_a_file_command() -> None:
    np.save("colour.npy", ROWS[:4, :768])
    assert main(["denoise", "colour.npy", "--shape", "16x16x3", "--sigma", "9", "-o", "out", "--quiet"]) == 0
    assert [isthmus.read(path).image(0).shape for path in sorted(Path("out").glob("*.png"))] == [
        (16, 16, 3)
    ] * 4


@pytest.mark.parametrize("shape", ["28", "28x", "0x28", "28x28x3x1", "a"])
def test_what_is_no_shape_is_refused(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "m.safetensors", "rows.npy", "--shape", shape]) == 2
    assert "is not a shape" in capsys.readouterr().err


def test_a_shape_without_rows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", "a.png", "--shape", "28x28", "-o", "a.isth"]) == 2
    assert "--shape has no effect" in capsys.readouterr().err
