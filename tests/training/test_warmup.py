"""Short trainings learn, and while the learning rate rises no weights are chosen and nothing ends."""

import numpy as np
import pytest

import isthmus
from isthmus.training.diagnosis.diagnose import findings
from isthmus.training.diagnosis.observed import observe
from isthmus.training.schedule import Schedule, warmup_share, warmup_steps
from isthmus.training.trainer import Trainer

from .cases import Array, open_training, pictures, small, train


def error_share(model: isthmus.Autoencoder, images: Array) -> float:
    """The model's error as a share of the mean image's."""
    pixels = images.astype(np.float32) / 255
    made = np.asarray(model.reconstruct(pixels))
    return float(np.square(made - pixels).mean() / np.square(pixels - pixels.mean(0)).mean())


def test_twenty_epochs_of_a_hundred_images_are_enough_to_learn() -> None:
    images = pictures(100, (16, 16))
    recipe = isthmus.recipe("conv").with_settings(["code=16", "backbone.width=16", "backbone.blocks=1"])
    model = isthmus.train(images, recipe=recipe, epochs=20, precision="float32")
    assert error_share(model, images) < 0.3
    assert model.summary["best"]["step"] == model.summary["steps"] == 300


def test_the_batch_of_a_short_training_is_smaller_where_none_is_asked_for() -> None:
    images = pictures(100)

    def batch(*settings: str, **options: float) -> int:
        recipe = isthmus.recipe("conv").with_settings(["code=8", *settings])
        return open_training(images, recipe, precision="float32", validation=0.0, **options).plan.batch

    assert batch(epochs=1000) == 64
    assert batch(epochs=20) == 6
    assert batch(epochs=1) == 4
    assert batch(steps=20) == 64
    assert batch("optimiser.batch=32", epochs=20) == 32


def test_no_weights_are_chosen_and_nothing_ends_in_the_warmup(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = iter([0.1, *[0.9] * 30, *[0.5] * 100])
    monkeypatch.setattr(Trainer, "validation_loss", lambda _: (next(scripted), {}))
    recipe = small("dense", "optimiser.warmup=0.5")
    model = train(pictures(), recipe, val=pictures(2, seed=1), steps=400, patience=3)
    first_after = next(row["step"] for row in model.summary["history"] if row["step"] > 200)
    assert model.summary["settled"]["warmup_steps"] == 200
    assert model.summary["best"]["validation"] == 0.5
    assert model.summary["best"]["step"] >= first_after


def test_the_warmup_in_steps_is_that_of_the_learning_rate() -> None:
    settings = isthmus.recipe("conv").optimiser
    for steps in (1, 7, 250, 1000, 10_000):
        schedule = Schedule.linear(steps)
        end = warmup_steps(settings, steps)
        assert schedule.progress(end) >= warmup_share(settings, schedule) > schedule.progress(end - 1)


def test_a_model_worse_than_the_mean_image_is_said_at_any_length() -> None:
    images = pictures(100, (16, 16))
    model = train(images, small("conv", "optimiser.rate=1e-6"), steps=2)
    assert error_share(model, images) > 1
    (finding,) = [entry for entry in model.summary["findings"] if entry["name"] == "worse-than-mean-image"]
    assert finding["severity"] == "problem" and "2 steps are few" in finding["message"]
    assert finding["suggestion"] == "--steps 1000"
    longer = [{"step": 5000.0, "train_mse": 1.0}]
    observed = observe(model, isthmus.read(images))
    (after,) = findings(longer, model.recipe, Schedule.linear(5000), observed)
    assert after.suggestion == "settings=['optimiser.rate=2.5e-07']"
