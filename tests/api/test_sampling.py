"""`isthmus.fit_prior`, `generate` and `interpolate`: results, files, and what is drawn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.errors import ExistsError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"
ENDS = ["photos/left/1.png", "photos/right/0.png"]
PARITY = {
    "prior": Parity(["prior", MODEL, "--steps", "2"], lambda: isthmus.fit_prior(MODEL, steps=2)),
    "prior, all options": Parity(
        [
            *("prior", MODEL, "photos", "--kind", "flow", "--components", "3", "--steps", "2"),
            *("--width", "8", "--precision", "float32", "--no-use-labels", "--seed", "3"),
        ],
        lambda: isthmus.fit_prior(
            MODEL,
            "photos",
            kind="flow",
            components=3,
            steps=2,
            width=8,
            precision="float32",
            use_labels=False,
            seed=3,
        ),
    ),
    "generate": Parity(["generate", MODEL, "-o", "a.npz"], lambda: isthmus.generate(MODEL)),
    "generate, all options": Parity(
        [
            *("generate", MODEL, "-n", "3", "--prior", "gaussian", "--like", ENDS[0], "--strength", "0.5"),
            *("--label", "left", "--temperature", "0.9", "--steps", "4", "--reference", "photos"),
            *("--seed", "3", "--scale", "2", "-o", "a.png", "-o", "folder"),
        ],
        lambda: isthmus.generate(
            MODEL,
            3,
            prior="gaussian",
            like=ENDS[0],
            strength=0.5,
            label="left",
            temperature=0.9,
            steps=4,
            reference="photos",
            seed=3,
        ),
    ),
    "interpolate": Parity(
        ["interpolate", MODEL, *ENDS, "-o", "a.gif"], lambda: isthmus.interpolate(MODEL, ENDS)
    ),
    "interpolate, all options": Parity(
        [
            *("interpolate", MODEL, *ENDS, "--frames", "4", "--path", "prior", "--prior", "mixture"),
            *("--steps", "4", "--reference", "photos", "-o", "a.webp"),
        ],
        lambda: isthmus.interpolate(
            MODEL, ENDS, frames=4, path="prior", prior="mixture", steps=4, reference="photos"
        ),
    ),
}


@pytest.mark.usefixtures("here")
def test_sixteen_images_are_made_and_small_ones_are_enlarged_in_a_picture(tmp_path: Path) -> None:
    result = isthmus.generate(MODEL)
    assert (result.count, result.size, result.prior, result.reference) == (
        16,
        (12, 12),
        "mixture",
        "training",
    )
    assert np.array_equal(np.asarray(result), result.pixels)
    with Image.open(result.save(tmp_path / "a.png")) as sheet:
        assert min(sheet.size) >= 4 * 112
    with Image.open(result.save(tmp_path / "b.png", scale=3)) as sheet:
        assert sheet.size == (4 * 38 - 2, 4 * 38 - 2)
    result.save(tmp_path / "a.npz")
    assert np.array_equal(np.load(tmp_path / "a.npz")["images"], result.pixels)
    result.save(tmp_path / "folder")
    first = np.asarray(Image.open(tmp_path / "folder" / "00000.png"))
    assert np.array_equal(first, result.image(0)[..., 0])
    assert json.loads(result.save(tmp_path / "a.json").read_text())["seed"] == 0
    with pytest.raises(ExistsError):
        result.save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="scale=0"):
        result.save(tmp_path / "c.png", scale=0)
    assert "data:image/png;base64," in result._repr_html_()


@pytest.mark.usefixtures("here")
def test_a_prior_is_kept_in_the_model_that_was_given_and_in_its_file() -> None:
    network = isthmus.load(MODEL)
    assert isthmus.fit_prior(network, "photos", kind="gaussian").classes == ("left", "right")
    assert "prior/gaussian" in network.attachments
    assert "prior/gaussian" not in isthmus.load(MODEL).attachments
    assert isthmus.fit_prior(MODEL, kind="gaussian").reference == "training"
    assert "prior/gaussian" in isthmus.load(MODEL).attachments
    assert isthmus.generate(MODEL, 2).reference == "model"


@pytest.mark.usefixtures("here")
def test_drawing_without_a_prior_leaves_the_model_as_it_is() -> None:
    network = isthmus.load(MODEL)
    before = set(network.attachments)
    isthmus.generate(network, 1)
    assert set(network.attachments) == before


@pytest.mark.usefixtures("here")
def test_images_of_any_kind_are_interpolated() -> None:
    with Image.open(ENDS[0]) as opened:
        pixels = np.asarray(opened)
        mixed = isthmus.interpolate(MODEL, [opened, ENDS[1]], frames=3)
    assert np.array_equal(mixed.pixels, isthmus.interpolate(MODEL, [pixels, ENDS[1]], frames=3).pixels)
    assert mixed.images == ("PngImageFile", ENDS[1])


@pytest.mark.usefixtures("here")
def test_the_old_options_of_the_commands_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prior", MODEL, "photos", "--kind", "gaussian", "--no-labels"]) == 0
    assert "--no-labels is now --no-use-labels" in capsys.readouterr().err
    assert main(["prior", MODEL, "photos", "--kind", "gaussian"]) == 0
    assert main(["generate", MODEL, "--number", "2", "--class", "left", "-o", "a.npz"]) == 0
    notes = capsys.readouterr().err
    assert "--number is now --count" in notes and "--class is now --label" in notes
    assert main(["generate", MODEL, "-o", "a.png", "--scale", "0"]) == 2
    assert main(["generate", MODEL, "-n", "1", "-o", "a.png", "--scale", "9999"]) == 1
    assert "give a smaller scale" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_old_names_still_work() -> None:
    with pytest.warns(DeprecationWarning, match=r"isthmus\.generate"):
        old = isthmus.generate_images(MODEL, 3, seed=4)
    assert np.array_equal(old, isthmus.generate(MODEL, 3, seed=4).pixels)
    options: dict[str, Any] = {"labelled": False}
    with pytest.warns(DeprecationWarning, match="labelled= is now use_labels="):
        assert isthmus.fit_prior(MODEL, "photos", kind="gaussian", **options).classes == ()


@pytest.mark.usefixtures("here")
def test_pages_that_are_left_out_are_noted() -> None:
    pages = [Image.fromarray(np.full((12, 12), 90 * index, np.uint8)) for index in range(2)]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    result = isthmus.interpolate(MODEL, ["pages.tif", "photos/left/1.png"], frames=3)
    assert any("several pages" in note for note in result.notes)
