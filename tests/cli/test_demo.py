"""`isthmus demo`: needs nothing, leaves a model and one page, and its next commands work."""

from __future__ import annotations

import inspect
import json
import shlex
from pathlib import Path

import pytest

from isthmus.__main__ import main
from isthmus.api import demonstration as demo

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_demo")
def test_the_demo_leaves_a_model_and_a_page(tmp_path: Path, capsys: Capture) -> None:
    assert main(["demo", "--minutes", "0.03", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == "isthmus-demo/fashion-sample.safetensors"
    page = (tmp_path / document["report"]).read_text(encoding="utf-8")
    for section in (
        "Reconstructions",
        "Numbers",
        "Worst",
        "Training",
        "Code",
        "New images",
        "Compressed",
        "Repaired",
        "Features",
        "Use it",
        "Recipe",
    ):
        assert f"<h2>{section}</h2>" in page
    assert document["evaluation"]["data"]["source"] == "few.npz"
    assert set(document["evaluation"]["baselines"]) == {"pca", "mean_image"}
    assert document["compressed"]["psnr"] > document["compressed"]["jpeg_psnr"]
    assert document["repaired"]["denoised"] > document["repaired"]["noisy"] + 5
    assert document["repaired"]["inpainted"] > document["repaired"]["scratched"] + 15
    assert len(document["next"]) >= 3
    assert len(document["next"]) == 8
    for line in document["next"]:
        words = shlex.split(line)
        assert words[0] == "isthmus"
        if words[1] == "train":
            # The same command, but with a smaller network: this machine is not to be measured here.
            words = [
                *words,
                "--dry-run",
                "--precision",
                "float32",
                "--code",
                "2@4",
                "--set",
                "backbone.width=8",
            ]
        assert main(words[1:]) == 0, line
    capsys.readouterr()
    assert main(["demo", "--minutes", "0.03"]) == 1
    assert "exists" in capsys.readouterr().err


def test_the_demo_is_about_two_minutes_of_the_best_default() -> None:
    assert (demo.RECIPE, demo.CODE) == ("conv", "32")
    assert demo.TEST == "fashion-sample:test"
    assert inspect.signature(demo.run_demo).parameters["minutes"].default == 2.0
