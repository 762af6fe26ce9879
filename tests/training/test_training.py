"""The loop: what it promises about seeds, losses, the weights that are kept, and the images it learns."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus import pretrained
from isthmus.errors import Hint, ModelFileError, UsageError
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.recipes import RECIPES
from isthmus.training import state
from isthmus.training.callbacks import Progress
from isthmus.training.data import TrainingData
from isthmus.training.losses import DivergedError
from isthmus.training.players import AutoencoderLearner
from isthmus.training.trainer import Trainer

from .cases import open_training, pictures, run_training, small, train


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    first_state, two = first.state_dict(), second.state_dict()
    return all(torch.equal(first_state[k], two[k]) for k in first_state)


# ------------------------------------------------------------ seeds


@pytest.mark.parametrize("name", ["dense", "denoising", "variational", "vae-gan", "attention"])
def test_a_seed_decides_everything(name: str) -> None:
    first = train(pictures(), small(name), seed=3)
    torch.manual_seed(99)
    np.random.seed(99)
    assert same(first, train(pictures(), small(name), seed=3))
    assert not same(first, train(pictures(), small(name), seed=4))


def test_neither_a_listener_nor_checkpoints_nor_their_times_change_the_weights(tmp_path: Path) -> None:
    plain = train(pictures(), small("denoising", code="4@4"))
    watched = train(
        pictures(),
        small("denoising", code="4@4"),
        out=tmp_path / "m.safetensors",
        checkpoint_seconds=0,
        listener=lambda _: None,
    )
    assert same(plain, watched)
    assert same(plain, isthmus.load(tmp_path / "m.safetensors"))


def test_training_leaves_the_callers_arithmetic_and_random_numbers_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(pictures(), small("dense"))
    assert torch.equal(torch.rand(3), expected)
    assert sys.float_info.min / 2 > 0, "denormal numbers are still flushed to zero"
    with pytest.raises(UsageError):
        train(pictures(), small("dense"), steps=-1)
    assert sys.float_info.min / 2 > 0


# ------------------------------------------------------------ validation and the weights that are kept


def overfitted(ema: float, **options: Any) -> tuple[Any, ImageSet, ImageSet]:
    """Noise in sixteen images: learning it by heart can only hurt on others."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    recipe = small("dense", "backbone.width=256", "optimiser.rate=0.01", f"optimiser.ema={ema}", code="64")
    asked = {"steps": 1000, "validation": 0.25, "patience": 4, "precision": "float32", **options}
    data = open_training(noise, recipe, **asked).data
    assert data.held_out is not None
    return train(noise, recipe, **asked), data.train, data.held_out


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_ends_early_and_keeps_the_best_weights(ema: float) -> None:
    model, images, held_out = overfitted(ema)
    summary = model.summary
    history = [entry["validation"] for entry in summary["history"]]
    assert summary["ended_early"]
    assert summary["steps"] < 1000
    assert summary["kept"] == "best"
    assert summary["best"]["validation"] == min(history) < history[-1]
    best = min(summary["history"], key=lambda entry: entry["validation"])
    assert best["step"] == summary["best"]["step"]
    # The kept weights give, evaluated again, exactly the loss that was reported.
    pixels = np.concatenate([np.asarray(images.pixels), np.asarray(held_out.pixels)])
    plan = open_training(pixels, model.recipe, steps=1000, validation=0.25, precision="float32").plan
    model.requires_grad_(True)
    trainer = Trainer(AutoencoderLearner(model), TrainingData(images, held_out), plan)
    assert trainer.validation_loss()[0] == summary["best"]["validation"]


def test_patience_of_zero_never_ends_early() -> None:
    model, _, _ = overfitted(0.9, patience=0, steps=120)
    assert model.summary["steps"] == 120
    assert not model.summary["ended_early"]


@pytest.mark.parametrize(
    ("losses", "validations"),
    [
        ([1.0, 1.001, 1.0015, 1.001, 1.0005, 1.0], 6),  # a plateau: the falling rate may still help
        ([1.0, 1.01, 1.01, 1.01, 1.01, 1.01], 3),  # two in a row clearly above the best
        ([1.0, 1.01, 1.0, 1.01, 1.0, 1.01], 6),  # never two in a row
        ([-1.0, -0.99, -0.99, -0.99, -0.99, -0.99], 3),  # a log-likelihood may be negative
    ],
)
def test_patience_counts_validations_in_a_row_above_the_best(
    losses: list[float], validations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = iter(losses)
    monkeypatch.setattr(Trainer, "validation_loss", lambda _: (next(scripted), {}))
    val = pictures(2, seed=1)  # so few that every step is followed by a validation
    monkeypatch.setattr("isthmus.training.plan.SHORT_STEPS", 0)  # a short training is all warm-up
    recipe = small("dense", "optimiser.warmup=0")
    model = train(pictures(), recipe, val=val, steps=6, patience=2, precision="float32")
    assert model.summary["steps"] == validations
    assert model.summary["ended_early"] == (validations < 6)


def test_the_validation_loss_is_the_objective_on_held_out_images() -> None:
    recipe = small("conv", code="8")
    run = open_training(pictures(), recipe, steps=5, precision="float32")
    run.fit()
    loss, parts = run.validation_loss()
    held_out, model = run.data.held_out, run.learner.module
    assert held_out is not None and isinstance(model, Autoencoder)
    with run.average.swapped_in():
        target = held_out.stack(range(len(held_out))) / 255
        made = model.reconstruct(target.astype(np.float32))
    assert loss == pytest.approx(float(((made - target) ** 2).mean()), rel=1e-5)
    assert parts["mse"] == pytest.approx(loss)
    assert run.validation_loss() == (loss, parts)
    assert model.training


@pytest.mark.parametrize("name", ["denoising", "variational", "inpainting"])
def test_validation_draws_the_same_noise_every_time(name: str) -> None:
    run = open_training(pictures(), small(name), steps=5, precision="float32")
    assert run.validation_loss() == run.validation_loss()


@pytest.mark.parametrize(
    ("name", "options", "weights_name"),
    [("dense", {}, "best"), ("dense", {"validation": 0}, "last"), ("adversarial", {}, "last")],
)
def test_which_weights_were_kept_is_said(name: str, options: dict[str, Any], weights_name: str) -> None:
    summary = train(pictures(), small(name), **options).summary
    assert summary["kept"] == weights_name
    assert (summary["best"] is None) == (options.get("validation") == 0)


def test_the_summary_tells_the_training_in_json(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    model = train(pictures(), small("variational"), out=out, seed=2)
    assert isthmus.load(out).summary == json.loads(json.dumps(model.summary))
    summary = model.summary
    assert summary["steps"] == 10
    assert summary["options"]["seed"] == summary["settled"]["seed"] == 2
    assert summary["data"]["images"] + summary["data"]["held_out"] == 40
    assert len(summary["data"]["fingerprint"]) == 32
    last = summary["history"][-1]
    assert last["step"] == 10
    assert {"train_autoencoder", "train_bce", "train_kl", "validation", "validation_bce"} <= set(last)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.equal(
        torch.as_tensor(model.encode(pictures(5)).values),
        torch.as_tensor(isthmus.load(out).encode(pictures(5)).values),
    )


def test_the_logged_loss_is_the_mean_since_the_last_entry() -> None:
    reports: list[Progress] = []
    model = train(pictures(), small("dense"), listener=reports.append)
    history = model.summary["history"]
    assert [p.step for p in reports if p.validation is not None][-1] == 10
    assert reports[-1].losses["mse"] == history[-1]["train_mse"]
    assert reports[-1].best == model.summary["best"]["validation"]
    assert all(0 < p.losses["mse"] < 1 and p.steps == 10 for p in reports)


# ------------------------------------------------------------ what goes wrong


def test_a_diverged_training_says_what_to_try_and_leaves_no_state(tmp_path: Path) -> None:
    recipe = small(
        "dense", "backbone.output=linear", "optimiser.name=sgd", "optimiser.rate=1e12", "optimiser.clip=0"
    )
    out = tmp_path / "m.safetensors"
    with pytest.raises(DivergedError, match="learning rate 1e\\+12") as caught:
        train(pictures(), recipe, out=out, steps=200, checkpoint_seconds=0)
    assert caught.value.hint == Hint.add(settings=("optimiser.rate=2.5e+11",))
    assert not out.exists()
    assert not state.resume_path(out).exists()


# ------------------------------------------------------------ full-batch descent


def test_descent_in_chunks_is_one_big_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small("conv", "optimiser.name=gd", "optimiser.rate=0.1", "bottleneck=l2", code="8")
    at_once = train(pictures(), recipe, steps=5)
    assert at_once.summary["settled"]["batch"] == at_once.summary["data"]["images"]
    monkeypatch.setattr("isthmus.training.players.CHUNK_PIXELS", 12 * 12 * 5)
    chunks = train(pictures(), recipe, steps=5)
    for key, value in at_once.state_dict().items():
        torch.testing.assert_close(chunks.state_dict()[key], value, atol=1e-6, rtol=1e-5)
    for own_row, other in zip(at_once.summary["history"], chunks.summary["history"], strict=True):
        assert {k: pytest.approx(v, rel=1e-5) for k, v in own_row.items()} == other


# ------------------------------------------------------------ beginning from another model


def test_start_from_takes_the_weights_of_another_training(tmp_path: Path) -> None:
    out = tmp_path / "first.safetensors"
    first = train(pictures(), small("conv", code="8"), out=out, steps=60)
    still = small("conv", "optimiser.rate=0", code="8")
    again = train(pictures(), still, start_from=out, steps=1)
    trained = dict(first.named_parameters())
    assert all(torch.equal(trained[k], p) for k, p in again.named_parameters())
    assert torch.equal(first.offset, again.offset)
    better = train(pictures(), small("conv", code="8"), start_from=out, steps=1)
    assert better.summary["best"]["validation"] < 1.05 * first.summary["best"]["validation"]


def test_start_from_without_a_recipe_goes_on_with_its_own(tmp_path: Path) -> None:
    out = tmp_path / "first.safetensors"
    train(pictures(), small("dense", "bottleneck.rectified=true", code="6"), out=out, steps=1)
    again = run_training(pictures(), settings=["optimiser.rate=1e-4"], start_from=out, steps=1)
    assert (again.recipe.name, again.recipe.code) == ("dense", "6")
    assert again.recipe.bottleneck == axes.Plain(rectified=True)
    assert again.recipe.optimiser.rate == 1e-4


def test_start_from_knows_the_shipped_models() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    mine = run_training(noisy, start_from="photo-denoise-gray", steps=1, settings=["optimiser.rate=0"])
    shipped = isthmus.load(pretrained.path("photo-denoise-gray"))
    torch.testing.assert_close(dict(mine.named_parameters()), dict(shipped.named_parameters()))


def test_start_from_needs_the_same_architecture(tmp_path: Path) -> None:
    out = tmp_path / "first.safetensors"
    train(pictures(), small("dense"), out=out, steps=1)
    for other in (small("conv"), small("dense", "backbone.width=25"), small("dense", code="9")):
        with pytest.raises(UsageError, match="another architecture"):
            train(pictures(), other, start_from=out)
    with pytest.raises(ModelFileError, match="no model file"):
        train(pictures(), small("dense"), start_from=tmp_path / "missing.safetensors")


# ------------------------------------------------------------ learning


GRIDS = ("inpainting", "denoising", "codec", "features", "defects")


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "transform-pairs"])
def test_every_recipe_soon_beats_the_mean_image(name: str) -> None:
    sample = isthmus.read(isthmus.read("fashion-sample")[:500], size=16)
    learned, others = sample.subset(range(400)), sample.subset(range(400, 500))
    settings = ["optimiser.batch=32", "optimiser.ema=0.9", "optimiser.rate=0.01"]
    recipe = small(name, *settings, code=None if name in GRIDS else "16")
    model = train(learned, recipe, steps=80)
    target = others.stack(range(100)) / 255
    mean = learned.stack(range(400)).mean(0) / 255
    made = model.reconstruct(target.astype(np.float32))
    assert ((made - target) ** 2).mean() < 0.9 * ((mean - target) ** 2).mean()


def test_what_is_fitted_at_the_end_travels_in_the_file(tmp_path: Path) -> None:
    def finish(model: Autoencoder, images: ImageSet) -> None:
        model.attachments["seen"] = Attachment({"images": len(images)})

    path = tmp_path / "model.safetensors"
    run_training(pictures(20), recipe=small("dense"), steps=1, validation=0, out=path, finish=finish)
    assert isthmus.load(path).attachments["seen"].facts == {"images": 20}
