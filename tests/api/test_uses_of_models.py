"""Every use with every kind of model: it works, or is refused with the reason before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import CapabilityError, IsthmusError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 255, (24, 16, 16, 1)).astype(np.uint8)
LABELLED = isthmus.read(IMAGES, labels=np.arange(24) % 2)
HOLES = np.eye(16, dtype=bool)
CODEC = Path(__file__).parents[1] / "codec" / "golden" / "model.safetensors"
SMALL = ["backbone.width=8"]
KINDS: dict[str, tuple[str, list[str]]] = {
    "vector": ("dense", SMALL),
    "grid": ("conv", ["code=4@4", *SMALL]),
    "sparse": ("dense", ["code=8", "bottleneck=top-k", "bottleneck.k=2", *SMALL]),
    "discrete": ("dense", ["code=8", "bottleneck=quantised", *SMALL]),
    "variational": ("dense", ["bottleneck=gaussian", *SMALL]),
    "filters": ("features", ["code=8@4"]),
    "denoiser": ("denoising", ["code=8@8", *SMALL]),
    "blind denoiser": ("dense", ["corruption=salt-pepper", *SMALL]),
    "inpainter": ("inpainting", ["code=8@8", *SMALL]),
    "defects": ("defects", ["code=4@4", "backbone.width=4-4"]),
}
Use = Callable[[Any], object]
USES: dict[str, Use] = {
    "embed": lambda model: isthmus.embed(model, IMAGES, reference=IMAGES),
    "search": lambda model: isthmus.search(model, IMAGES, IMAGES[:1], count=2),
    "cluster": lambda model: isthmus.cluster(model, IMAGES, 2, space="features"),
    "classify": lambda model: isthmus.classify(model, LABELLED, LABELLED, few_labels=0, baselines=False),
    "anomalies": lambda model: isthmus.anomalies(model, IMAGES, normal=IMAGES, false_alarms=0.3),
    "evaluate": lambda model: isthmus.evaluate(model, IMAGES, reference=IMAGES),
    "reconstruct": lambda model: isthmus.reconstruct_files(model, IMAGES[:1], out="seen.png", force=True),
    "map": lambda model: isthmus.code_map(model, IMAGES, method="pca"),
    "decode": lambda model: model.decode(model.encode(IMAGES[:1].repeat(model.channels, 3))),
    "explain": lambda model: isthmus.explain(model, IMAGES[:1], reference=IMAGES[:4], units=1),
    "generate": lambda model: isthmus.generate(model, 2, reference=IMAGES),
    "interpolate": lambda model: isthmus.interpolate(model, list(IMAGES[:2]), frames=3),
    "direction": lambda model: isthmus.find_direction(model, IMAGES[:12], IMAGES[12:]),
    "augment": lambda model: isthmus.augment(model, LABELLED, 4, filtered=False),
    "prior": lambda model: isthmus.fit_prior(model, IMAGES, kind="gaussian"),
    "motion": lambda model: isthmus.fit_motion(model, IMAGES, steps=1),
    "frames": lambda model: isthmus.predict_frames(model, IMAGES, 1),
    "compress": lambda model: isthmus.compress(IMAGES[0], model=model),
    "denoise": lambda model: isthmus.denoise(IMAGES[0], 10, model),
    "inpaint": lambda model: isthmus.inpaint(IMAGES[0], HOLES, model),
}
FROM_CODES = ("generate", "interpolate", "direction", "augment", "prior", "motion", "frames")
SKIPS = dict.fromkeys(("decode", "explain", *FROM_CODES), "its decoder also needs the encoder's stages")
DISCRETE = dict.fromkeys(FROM_CODES, "codes are discrete")
COMPRESS = {"compress": "cannot compress"}
DENOISE = {"denoise": "was not trained to remove noise"}
INPAINT = {"inpaint": "was not trained to fill holes"}
MOTION = {"motion": "motion is learned in vector codes only"}
# What each kind cannot do, and a part of the reason; everything else works.
REFUSED: dict[str, dict[str, str]] = {
    "vector": COMPRESS | DENOISE | INPAINT,
    "grid": COMPRESS | DENOISE | INPAINT | MOTION,
    "sparse": COMPRESS | DENOISE | INPAINT,
    "discrete": COMPRESS | DENOISE | INPAINT | DISCRETE,
    "variational": COMPRESS | DENOISE | INPAINT,
    "filters": COMPRESS | DENOISE | INPAINT | MOTION,
    "denoiser": COMPRESS | INPAINT | SKIPS,
    "blind denoiser": COMPRESS | INPAINT,
    "inpainter": COMPRESS | DENOISE | SKIPS,
    "defects": COMPRESS | DENOISE | INPAINT | SKIPS,
    "codec": DENOISE | INPAINT | DISCRETE,
}


def make_model(kind: str) -> isthmus.Autoencoder:
    """An untrained model: what it can be used for follows from its recipe."""
    if kind == "codec":
        return isthmus.load(CODEC)
    name, settings = KINDS[kind]
    recipe = isthmus.recipe(name).with_settings(settings)
    return isthmus.Autoencoder(recipe, channels=1, size=(16, 16)).eval().requires_grad_(False)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_use_works_or_is_refused_with_the_reason(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model(kind)
    results: dict[str, str] = {}
    for name, use in USES.items():
        try:
            use(model)
        except IsthmusError as error:
            assert error.exit_code == CapabilityError.exit_code
            results[name] = error.message
    expected = REFUSED[kind]
    assert set(results) == set(expected), {key: results.get(key) for key in set(results) ^ set(expected)}
    for name, part in expected.items():
        assert part in results[name]


def test_files_are_not_denoised_by_a_model_that_was_not_trained_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", IMAGES)
    with pytest.raises(isthmus.UsageError, match="was not trained to remove noise") as caught:
        isthmus.denoise_files("images.npy[0]", out="clean", model=make_model("vector"))
    assert not Path("clean").exists()
    assert caught.value.hint is not None and "recipe='denoising'" in caught.value.hint.for_python()
