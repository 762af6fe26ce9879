"""What was fitted to models of version 0.1 and kept, and files made with them, give what they gave."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus

from . import adapter
from .checks import FILES, check_numbers, check_pixels, read_arrays, run

PRIORS = ["prior-gaussian", "prior-mixture", "prior-flow", "prior-flow-grid", "variational"]
SCORES = ["density", "mixture", "neighbour", "local", "reconstruction"]
LIKE = "photos/disc/03.png"


def expected_of(name: str) -> dict[str, Any]:
    return read_arrays(FILES / "expected" / f"uses-{name}.npz")


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_draws_the_same_images(name: str) -> None:
    model, expected = f"models/{name}.safetensors", expected_of(name)
    check_pixels(isthmus.generate(model, 6, seed=3).pixels, expected["drawn"])
    if "of_class" in expected:
        check_pixels(isthmus.generate(model, 6, seed=3, label="disc").pixels, expected["of_class"])


@pytest.mark.parametrize(
    ("name", "model", "what"),
    [
        ("readout", "readout", "compact"),
        ("features-compact", "features", "compact"),
        ("features-full", "features", "full"),
    ],
)
def test_features_are_the_same(name: str, model: str, what: Any) -> None:
    result = isthmus.embed(f"models/{model}.safetensors", "photos", what=what)
    check_numbers(result.vectors, expected_of(name)["vectors"])


def test_the_file_of_feature_vectors_has_the_same_arrays(apart: Path, unpacked: Path) -> None:
    model = unpacked / "models" / "readout.safetensors"
    run("embed", str(model), "photos", "-o", "vectors.npz")
    result, expected = read_arrays(apart / "vectors.npz"), read_arrays(FILES / "vectors.npz")
    assert set(expected) <= set(result)
    check_numbers(result["vectors"], expected["vectors"])
    for key in ("names", "labels", "classes"):
        assert np.array_equal(result[key], expected[key])


@pytest.mark.parametrize("score", SCORES)
def test_a_stored_detector_gives_the_same_scores(score: str) -> None:
    result = isthmus.anomalies(f"models/anomalies-{score}.safetensors", "frames")
    expected = expected_of(f"anomalies-{score}")
    check_numbers(result.scores, expected["scores"])
    assert np.array_equal(result.flagged, expected["flagged"])
    check_numbers(result.chance, expected["chance"])


def test_stored_dynamics_predict_the_same_frames(apart: Path, unpacked: Path) -> None:
    model = unpacked / "models" / "dynamics.safetensors"
    run("frames", str(model), "frames/0", "--predict", "2", "-o", "next.npz")
    check_pixels(read_arrays(apart / "next.npz")["images"], expected_of("dynamics")["images"])


def test_a_search_index_is_used_as_it_is(apart: Path, unpacked: Path, facts: dict[str, Any]) -> None:
    index = Path(shutil.copy(unpacked / "index.safetensors", apart))
    before = index.read_bytes()
    model = unpacked / "models" / "features.safetensors"
    result = isthmus.search(str(model), "photos", LIKE, index=index)
    assert (result.added, result.removed) == (0, 0)
    assert index.read_bytes() == before
    for match, (name, row, value) in zip(result.matches[0], facts["matches"], strict=True):
        assert (match.name, match.row) == (name, row)
        assert match.value == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("method", ["means", "discriminant"])
def test_a_direction_moves_an_image_alike(method: str, apart: Path, unpacked: Path) -> None:
    model = unpacked / "models" / "conv.safetensors"
    along = unpacked / f"direction-{method}.safetensors"
    run("transform", str(model), LIKE, "--along", str(along), "--by", "-1,0.5,2", "-o", "moved")
    expected = sorted((FILES / f"moved-{method}").iterdir())
    assert len(expected) == 3
    for path in expected:
        with Image.open(path) as target, Image.open(apart / "moved" / path.name) as image:
            check_pixels(image, np.asarray(target))


@pytest.mark.parametrize("options", [(), ("--thorough",)], ids=["once", "thorough"])
def test_a_denoiser_cleans_alike(options: tuple[str, ...], apart: Path, unpacked: Path) -> None:
    # --thorough needs `turn` in the stored options of the training.
    model = unpacked / "models" / "denoising.safetensors"
    run("denoise", "noisy.png", "--model", str(model), "--sigma", "20", *options, "-o", "clean.png")
    name = "denoised-thorough.png" if options else "denoised.png"
    with Image.open(FILES / name) as expected, Image.open(apart / "clean.png") as image:
        check_pixels(image, np.asarray(expected))


def test_the_classifiers_that_come_with_the_package_give_the_same_features() -> None:
    gray = read_arrays(FILES / "tried.npz")["gray"].astype(np.float32) / 255
    images = np.pad(gray, ((0, 0), (6, 6), (6, 6), (0, 0))).astype(np.float32)
    expected = expected_of("feature-networks")
    for name, features in expected.items():
        path = adapter.shipped_classifiers() / f"{name}.safetensors"
        check_numbers(adapter.features_of(path, images), features)
    assert {path.stem for path in adapter.shipped_classifiers().glob("*.safetensors")} == set(expected)
