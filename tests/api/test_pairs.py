"""Training on pairs: from images to what they should become."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.__main__ import main
from isthmus.errors import CapabilityError, DataError, ModelFileError, UsageError
from isthmus.images.write import save_image
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder, build

from .parity import Parity

_OPTIONS = ("--steps", "2", "--set", "backbone.width=8", "--precision", "float32")
_QUICK: dict[str, Any] = {"steps": 2, "settings": ["backbone.width=8"], "precision": "float32"}


def _train_on_photos(out: str | None = None) -> Autoencoder:
    return isthmus.train("photos", target="photos", out=out, **_QUICK)


PARITY = {
    "train --target": Parity(
        ["train", "photos", "--target", "photos", *_OPTIONS, "-o", "a.safetensors"], _train_on_photos
    ),
    "train --target --dry-run": Parity(
        ["train", "photos", "--target", "photos", *_OPTIONS, "--dry-run"],
        lambda: isthmus.plan_training("photos", target="photos", **_QUICK),
    ),
    "evaluate --target": Parity(
        ["evaluate", "pairs.safetensors", "photos", "--target", "photos", "--limit", "5"],
        lambda: isthmus.evaluate("pairs.safetensors", "photos", target="photos", limit=5),
        prepare=lambda: _train_on_photos("pairs.safetensors"),
    ),
    "doctor --target": Parity(
        ["doctor", "pairs.safetensors", "photos", "--target", "photos"],
        lambda: isthmus.diagnose("pairs.safetensors", "photos", target="photos"),
        prepare=lambda: _train_on_photos("pairs.safetensors"),
    ),
}
_RANDOM = np.random.default_rng(0)
TARGETS = _RANDOM.random((40, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
TARGETS = (TARGETS * 255).astype(np.uint8)
INPUTS = (TARGETS @ np.array([0.2, 0.5, 0.3])).round().astype(np.uint8)[..., None]
THIN: dict[str, Any] = {"settings": ["backbone.width=8"], "precision": "float32", "seed": 1}


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return isthmus.train(INPUTS, target=TARGETS, steps=30, **THIN)


def test_input_and_output_have_channels_of_their_own(model: Autoencoder, tmp_path: Path) -> None:
    assert model.recipe.name == "transform-pairs"
    assert (model.channels, model.output_channels) == (1, 3)
    made = model.reconstruct(INPUTS[:2])
    assert made.shape == (2, 16, 16, 3)
    assert made.dtype == np.uint8
    assert model.reconstruct(INPUTS[0, ..., 0]).shape == (16, 16, 3)
    images = torch.rand(2, 1, 16, 16)
    assert model(images).shape == (2, 3, 16, 16)
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.reconstruct(INPUTS[:2]), made)
    isthmus.reconstruct_files(model, INPUTS[:1], out=tmp_path / "a.png")
    written = isthmus.read(tmp_path / "a.png").image(0)
    assert np.abs(written.astype(int) - made[0]).max() <= 1


def test_an_untrained_model_copies_its_input() -> None:
    recipe = replace(isthmus.recipe("transform-pairs"), corruption=axes.Pairs(outputs=3))
    untrained = build(recipe.with_settings(["backbone.width=8"]), channels=1, size=(16, 16))
    images = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(untrained(images), images.expand(-1, 3, -1, -1))


def test_evaluate_measures_against_the_target(model: Autoencoder) -> None:
    result = isthmus.evaluate(model, INPUTS, target=TARGETS)
    made = model.reconstruct(INPUTS / 255)
    assert result.metrics["mse"] == pytest.approx(((made - TARGETS / 255) ** 2).mean(), rel=1e-4)
    copied = ((INPUTS / 255 - TARGETS / 255) ** 2).mean()
    assert result.baselines["copy"]["mse"] == pytest.approx(copied, rel=1e-4)
    assert result.metrics["psnr"] > result.baselines["copy"]["psnr"]
    assert result.baselines["linear_map"]["mse"] < copied
    assert result.clean is None and result.gap is None
    assert "linear map of patches" in result.table()
    assert "<html" in result.page()


def test_evaluate_says_what_is_missing(model: Autoencoder) -> None:
    with pytest.raises(UsageError, match="trained on pairs") as caught:
        isthmus.evaluate(model, INPUTS)
    assert "target" in str(caught.value.hint)
    with pytest.raises(DataError, match="RGB images and the model reads gray"):
        isthmus.evaluate(model, TARGETS, target=TARGETS)
    plain = isthmus.train(INPUTS, recipe="dense", code="4", steps=1)
    with pytest.raises(UsageError, match="not trained on pairs"):
        isthmus.evaluate(plain, INPUTS, target=TARGETS)


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ("conv", "8"),
        ("conv", "8@4"),
        ("dense", "8"),
        ("attention", "8@4"),
        ("recurrent", "8"),
        ("variational", "8"),
    ],
)
def test_it_is_a_point_of_the_product_space(recipe: str, code: str) -> None:
    point = isthmus.recipe(recipe)
    point = replace(point, code=code, corruption=axes.NoCorruption()).with_settings(["backbone.width=8"])
    if recipe == "attention":
        point = point.with_settings(["backbone.depth=1", "backbone.heads=2"])
    made = isthmus.train(INPUTS, target=TARGETS, recipe=point, steps=2, precision="float32")
    assert made.recipe.corruption == axes.Pairs(outputs=3)
    assert made.reconstruct(INPUTS[:2]).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("condition", [True, False])
def test_a_denoiser_is_a_start(condition: bool) -> None:
    recipe = replace(isthmus.recipe("denoising"), code="8@8").with_settings(
        ["backbone.width=8", "backbone.padding=reflect", f"corruption.condition={condition}"]
    )
    start = build(recipe, channels=3, size=(16, 16), seed=2)
    with torch.no_grad():
        start.get_parameter("decoder.last.weight").normal_(std=0.1)  # else it is the identity
    pairs = isthmus.train(
        TARGETS,
        target=TARGETS,
        start_from=start,
        steps=1,
        settings={"optimiser.rate": 1e-9},
        precision="float32",
    )
    assert (pairs.recipe.name, pairs.recipe.backbone) == ("transform-pairs", recipe.backbone)
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        with_condition = (
            torch.cat([images, torch.full_like(images[:, :1], 3 / 255)], 1) if condition else images
        )
        features = start.encoder(with_condition)
        denoised = start.decoder(features.h, (16, 16), features.skips)
        made = pairs(images)  # the best linear map of these pairs copies
    assert (denoised - images).abs().mean() > 0.01
    torch.testing.assert_close(made, denoised, atol=2e-3, rtol=0)


def test_a_start_of_another_backbone_is_refused() -> None:
    start = build(replace(isthmus.recipe("dense"), code="4"), channels=3, size=(16, 16))
    with pytest.raises(UsageError, match="another architecture"):
        isthmus.train(TARGETS, target=TARGETS, recipe="transform-pairs", start_from=start, steps=1)


def test_a_start_of_other_channels_is_refused() -> None:
    start = build(replace(isthmus.recipe("denoising"), code="8@8"), channels=1, size=(16, 16))
    with pytest.raises(UsageError, match="another architecture"):
        isthmus.train(INPUTS, target=TARGETS, start_from=start, steps=1)


def test_what_cannot_learn_from_pairs_says_why() -> None:
    with pytest.raises(UsageError, match="makes its inputs itself"):
        isthmus.train(INPUTS, target=TARGETS, recipe="denoising", steps=1)
    with pytest.raises(CapabilityError, match="cannot learn from pairs"):
        isthmus.train(INPUTS, target=TARGETS, recipe="codec", steps=1)
    with pytest.raises(UsageError, match="learns from pairs") as caught:
        isthmus.train(INPUTS, recipe="transform-pairs", steps=1)
    assert "target" in str(caught.value.hint)
    with pytest.raises(UsageError, match="held out instead"):
        isthmus.train(INPUTS, target=TARGETS, val=INPUTS, steps=1)
    with pytest.raises(CapabilityError, match="pairs"):
        isthmus.train(INPUTS, target=TARGETS, private=3.0, steps=1)
    with pytest.raises(DataError, match="16×16 and its target 0 12×16"):
        isthmus.train(INPUTS, target=TARGETS[:, :12], steps=1)


def test_uses_that_compare_images_with_themselves_are_refused(model: Autoencoder) -> None:
    assert isthmus.embed(model, INPUTS).vectors.shape[0] == 40
    assert len(isthmus.anomalies(model, INPUTS, normal=INPUTS).scores) == 40
    with pytest.raises(UsageError, match="trained on pairs"):
        isthmus.anomalies(model, INPUTS, normal=INPUTS, score="reconstruction")


def test_the_doctor_examines_pairs(model: Autoencoder) -> None:
    assert isthmus.diagnose(model).observed is None
    observed = isthmus.diagnose(model, INPUTS, target=TARGETS).observed
    assert observed is not None
    assert observed.image_numbers == 16 * 16 * 3
    with pytest.raises(UsageError, match="trained on pairs"):
        isthmus.diagnose(model, INPUTS)


class _Stop(isthmus.Callback):
    def on_step(self, event: isthmus.TrainingEvent) -> None:
        if event.step == 3:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_training_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    straight = isthmus.train(INPUTS, target=TARGETS, steps=6, **THIN)
    out = tmp_path / "m.safetensors"
    with pytest.raises(isthmus.Stopped):
        isthmus.train(INPUTS, target=TARGETS, steps=6, out=out, callbacks=[_Stop()], **THIN)
    with pytest.raises(UsageError, match="is not the data"):
        isthmus.train(INPUTS, target=TARGETS[::-1], out=out, resume=True)
    resumed = isthmus.train(INPUTS, target=TARGETS, out=out, resume=True)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_damaged_linear_map_is_refused(model: Autoencoder, tmp_path: Path) -> None:
    model.save(tmp_path / "m.safetensors")
    other = isthmus.load(tmp_path / "m.safetensors")
    other.attachments["linear-map"].facts["side"] = 5
    with pytest.raises(ModelFileError, match="linear-map"):
        isthmus.evaluate(other, INPUTS, target=TARGETS)


def test_the_shell_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, images in (("gray", INPUTS), ("colour", TARGETS)):
        Path(folder).mkdir()
        for index, image in enumerate(images):
            save_image(f"{folder}/{index:02}.png", image)
    Path("gray/alone.png").write_bytes(Path("gray/00.png").read_bytes())
    words = ["--steps", "2", "--precision", "float32", "--set", "backbone.width=8", "-o", "m.safetensors"]
    assert main(["train", "gray", "--target", "colour", *words]) == 0
    said = capsys.readouterr().err
    assert "40 pairs" in said or "36 pairs" in said
    assert "1 image without a partner left out: alone.png" in said
    assert main(["evaluate", "m.safetensors", "gray", "--target", "colour", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    result = isthmus.evaluate("m.safetensors", "gray", target="colour")
    assert document["metrics"]["psnr"] == pytest.approx(result.metrics["psnr"])
    assert set(document["baselines"]) == {"copy", "linear_map"}
    assert main(["reconstruct", "m.safetensors", "gray", "-o", "made"]) == 0
    assert isthmus.read("made").channels == 3
