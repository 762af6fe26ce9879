"""An option that would change nothing is refused, in Python and in the shell, with what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main

Call = Callable[[str, str], Any]
CALLS: dict[str, tuple[str, Call]] = {
    "generate": ("strength", lambda m, p: isthmus.generate(m, 2, strength=0.9, reference=p)),
    "interpolate prior": ("prior", lambda m, p: isthmus.interpolate(m, _two(p), prior="mixture")),
    "interpolate steps": ("steps", lambda m, p: isthmus.interpolate(m, _two(p), steps=5)),
    "interpolate reference": ("reference", lambda m, p: isthmus.interpolate(m, _two(p), reference=p)),
    "evaluate features": ("features", lambda m, p: isthmus.evaluate(m, p, features="f.safetensors")),
    "evaluate samples": ("samples", lambda m, p: isthmus.evaluate(m, p, samples=20)),
    "evaluate nll": ("nll_samples", lambda m, p: isthmus.evaluate(m, p, nll_samples=5)),
    "cluster": ("neighbours", lambda m, p: isthmus.cluster(m, p, 2, space="features", neighbours=3)),
    "classify": ("draws", lambda m, p: isthmus.classify(m, p, p, few_labels=0, draws=2)),
    "embed": ("reference", lambda m, p: isthmus.embed(m, p, what="code", reference=p)),
    "augment": ("distortions", lambda m, p: isthmus.augment(m, p, 2, distortions=["noise"])),
    "augment also": (
        "also_distort",
        lambda m, p: isthmus.augment(m, p, 2, methods=["distortions"], also_distort=True),
    ),
    "audit": ("model", lambda m, p: isthmus.audit(f"{p}/left", model=m)),
    "tune": ("trials", lambda _, p: isthmus.tune(p, ["code=2,3"], trials=3)),
    "prior steps": ("steps", lambda m, p: isthmus.fit_prior(m, p, kind="mixture", steps=3)),
    "prior width": ("width", lambda m, p: isthmus.fit_prior(m, p, kind="gaussian", width=16)),
    "prior precision": (
        "precision",
        lambda m, p: isthmus.fit_prior(m, p, kind="mixture", precision="bfloat16"),
    ),
    "prior components": ("components", lambda m, p: isthmus.fit_prior(m, p, kind="gaussian", components=3)),
    "prior limit": ("limit", lambda m, _: isthmus.fit_prior(m, kind="mixture", limit=3)),
    "inpaint": (
        "tolerance",
        lambda _, p: isthmus.inpaint_files(p, out="o", find="dead-pixels", tolerance=3),
    ),
    "denoise": ("scale", lambda _, p: isthmus.denoise_files(p, out="o", scale=3)),
    "diagnose": ("range", lambda m, _: isthmus.diagnose(m, range=(0, 1))),
}


def _two(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).rglob("*.png"))[:2]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", CALLS)
def test_an_option_without_effect_is_refused(name: str) -> None:
    option, call = CALLS[name]
    with pytest.raises(isthmus.UsageError, match=f"^{option} has no effect ") as caught:
        call("photos.safetensors", "photos")
    assert caught.value.id == "option.no-effect"
    assert caught.value.fields["option"] == option


@pytest.mark.parametrize(
    "words",
    [
        ["frames", "photos.safetensors", "photos/left", "-o", "f.gif", "--steps", "3"],
        ["doctor", "--seed", "1"],
        ["doctor", "photos.safetensors", "--limit", "3"],
        ["anomalies", "photos.safetensors", "photos", "-o", "found.csv", "--scale", "2"],
        ["generate", "photos.safetensors", "-o", "new.npz", "--scale", "2"],
        ["decompress", "photo.isth", "-o", "photo.jpg", "--format", "tif"],
    ],
)
def test_the_shell_refuses_it_too(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    isthmus.compress_files(next((here / "photos").rglob("*.png")), out=here / "photo.isth")
    assert main([*words, "--quiet"]) == 2
    assert "has no effect" in capsys.readouterr().err
    assert not list(here.glob("f.gif")) and not list(here.glob("found.csv"))


@pytest.mark.usefixtures("here")
def test_more_units_than_there_are_is_refused() -> None:
    with pytest.raises(isthmus.UsageError, match="this code has 3 units") as caught:
        isthmus.explain("photos.safetensors", "photos/left/1.png", reference="photos", units=4)
    assert caught.value.hint is not None
    assert str(caught.value.hint) == "add units=3"


@pytest.mark.usefixtures("here")
def test_a_strength_takes_effect_with_an_image_to_vary() -> None:
    like = "photos/left/1.png"
    near, far = (
        isthmus.generate("photos.safetensors", 4, like=like, strength=strength, seed=1).pixels.astype(float)
        for strength in (0.01, 1.0)
    )
    usual = isthmus.generate("photos.safetensors", 4, like=like, seed=1).pixels
    stated = isthmus.generate("photos.safetensors", 4, like=like, seed=1, strength=0.4).pixels
    assert np.array_equal(usual, stated)
    assert np.ptp(near, axis=0).mean() < np.ptp(far, axis=0).mean()
