"""A private training: no image counts for more than the clip norm, and no more than ε is spent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from isthmus.errors import CapabilityError, MissingExtraError, UsageError
from isthmus.installation import install_command
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.file import read_header
from isthmus.training import privacy
from isthmus.training.config import TrainConfig
from isthmus.training.plan import TrainPlan
from isthmus.training.players import AutoencoderLearner
from isthmus.training.trainer import Trainer

from .cases import open_training, pictures, small
from .cases import run_training as train

PRIVATE: dict[str, Any] = {"private": 4.0, "noise_seed": 1, "steps": 12}


def trained(**options: object) -> Autoencoder:
    return train(pictures(48), recipe=small("dense"), **{**PRIVATE, **options})


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.parameters()])


def noisy(learner: AutoencoderLearner) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in learner.players[0].parameters if p.grad is not None])


def test_delta_and_the_rest_belong_to_a_private_training() -> None:
    with pytest.raises(UsageError, match="clip_norm is an option of private training"):
        TrainConfig(clip_norm=1.0)
    with pytest.raises(UsageError, match="above 0"):
        TrainConfig(private=0.0)
    with pytest.raises(UsageError, match="between 0 and 1"):
        TrainConfig(private=1.0, delta=1.0)


def test_without_opacus_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match="needs the extra 'privacy'") as raised:
        trained()
    assert str(raised.value.hint) == install_command("privacy")


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("adversarial", [], "second player"),
        ("vae-gan", [], "second player"),
        ("contractive", [], "variance of a batch"),
        ("sparse", [], "how often each unit"),
        ("dense", ["bottleneck=kl-sparse"], "mean over a batch"),
        ("dense", ["backbone.norm=batch"], "statistics"),
        ("dense", ["bottleneck=l0", "bottleneck.active=3"], "counting"),
        ("variational", ["bottleneck.free_bits=0.1"], "free bits"),
        ("codec", [], "tables"),
        ("features", [], "initialised"),
        ("conv", ["corruption=recorrupted"], "measured on the images"),
    ],
)
def test_what_sees_images_past_the_noise_is_refused_and_the_hint_is_taken(
    name: str, settings: list[str], reason: str
) -> None:
    recipe = small(name, *settings)
    with pytest.raises(CapabilityError, match=reason):
        privacy.check_private(recipe, balance=False, processes=1)
    for _ in range(3):  # a recipe may have more than one such part: each has its hint
        try:
            privacy.check_private(recipe, balance=False, processes=1)
            return
        except CapabilityError as error:
            match = re.search(r"settings=\['(\S+)'\]", str(error.hint))
            assert match is not None
            recipe = recipe.with_settings([match[1]])
    pytest.fail("the hints lead nowhere")


def test_balance_and_several_processes_are_refused() -> None:
    with pytest.raises(CapabilityError, match="rare ones more often"):
        privacy.check_private(small("dense"), balance=True, processes=1)
    with pytest.raises(CapabilityError, match="in one process"):
        privacy.check_private(small("dense"), balance=False, processes=2)


class TestWithOpacus:
    @pytest.fixture(autouse=True)
    def opacus(self) -> None:
        pytest.importorskip("opacus")

    def test_at_most_epsilon_is_spent_and_said(self, tmp_path: Path) -> None:
        model = trained(out=tmp_path / "m.safetensors")
        spent = read_header(tmp_path / "m.safetensors")["summary"]["privacy"]
        assert spent == model.summary["privacy"]
        assert 3.5 < spent["epsilon"] <= 4 and spent["asked"] == 4
        assert spent["delta"] == pytest.approx(1 / 480) and spent["sampling"] == "poisson"
        # Opacus' other accountant, which proves ε in another way, finds it no larger.
        from opacus.accountants import PRVAccountant

        other = PRVAccountant()
        other.history = [(spent["noise"], spent["rate"], spent["steps"])]
        assert other.get_epsilon(spent["delta"]) <= spent["epsilon"]

    def test_nothing_of_the_images_is_in_the_summary_but_their_number(self) -> None:
        summary = trained().summary
        assert summary["data"]["fingerprint"] is None and summary["data"]["images"] == 48
        assert summary["data"]["held_out"] == 0 and summary["findings"] == []
        assert all(set(entry) == {"step"} for entry in summary["history"])

    def test_public_images_may_choose_the_weights(self) -> None:
        summary = trained(val=pictures(12, seed=5)).summary
        assert summary["kept"] == "best" and summary["best"]["validation"] > 0
        assert all("train_autoencoder" not in entry for entry in summary["history"])

    def test_the_first_weights_do_not_hang_on_the_images(self) -> None:
        bright = train(255 - pictures(48), recipe=small("dense"), **PRIVATE)
        assert torch.equal(trained().offset, bright.offset)

    def test_the_same_noise_seed_gives_the_same_model_and_none_another(self) -> None:
        first = weights(trained())
        assert torch.equal(first, weights(trained()))
        assert not torch.equal(first, weights(trained(noise_seed=2)))
        assert not torch.equal(weights(trained(noise_seed=None)), weights(trained(noise_seed=None)))

    def test_it_learns_when_little_noise_is_asked_for(self) -> None:
        def error(model: Autoencoder) -> float:
            images = pictures(48) / np.float32(255)
            return float(np.square(model.reconstruct(images) - images).mean())

        assert error(trained(private=1000.0, steps=150)) < 0.6 * error(trained(private=1000.0, steps=1))

    @pytest.mark.parametrize("name", ["dense", "conv", "recurrent", "variational", "attention", "inpainting"])
    def test_no_image_moves_the_sum_by_more_than_the_clip_norm(self, name: str) -> None:
        from isthmus.training.private_gradients import PrivateGradients

        clip = 1e-3
        recipe = small(name, "code=8@8" if name == "inpainting" else "code=8")
        learner = AutoencoderLearner(build(recipe, channels=1, size=(16, 16)).train())
        terms = privacy.PrivacyPlan(epsilon=1, delta=1e-3, clip=clip, noise=0.0, rate=0.5, seed=0)
        steps = PrivateGradients(learner, terms, count=8, batch=4)
        images = torch.from_numpy(pictures(5, (16, 16)) / np.float32(255)).permute(0, 3, 1, 2)

        def summed(chosen: torch.Tensor) -> torch.Tensor:
            steps.take_noisy_gradient(0, chosen, None, 0.5)
            return noisy(learner) * 4

        single_image = summed(images[:1])
        assert 0 < single_image.norm() <= clip * (1 + 1e-5)
        assert summed(images[:0]).norm() == 0
        assert summed(images).norm() <= 5 * clip * (1 + 1e-5)
        if recipe.corruption.kind == "none" and recipe.bottleneck.kind == "plain":
            assert (summed(images) - summed(images[:4])).norm() <= clip * (1 + 1e-4)

    @pytest.mark.parametrize("name", ["dense", "conv"])
    def test_gradients_together_are_those_one_by_one(self, name: str) -> None:
        from isthmus.training.private_gradients import (
            _SingleImages,  # no public name gives gradients both ways
        )

        learner = AutoencoderLearner(build(small(name, "code=8"), channels=1, size=(12, 12)).train())
        images = torch.from_numpy(pictures(4) / np.float32(255)).permute(0, 3, 1, 2)
        alone = _SingleImages(learner)
        generator = torch.Generator()
        together, losses = alone(images, None, generator, 0.5, vectorised=True)
        single, other = alone(images, None, generator, 0.5, vectorised=False)
        for key, value in single.items():
            torch.testing.assert_close(together[key], value, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(losses["autoencoder"], other["autoencoder"])

    def test_noise_and_coins_are_as_large_as_said(self) -> None:
        from isthmus.training.private_gradients import PrivateGradients

        learner = AutoencoderLearner(build(small("dense"), channels=1, size=(12, 12)).train())
        terms = privacy.PrivacyPlan(epsilon=1, delta=1e-3, clip=0.5, noise=3.0, rate=0.25, seed=0)
        steps = PrivateGradients(learner, terms, count=4000, batch=10)
        steps.take_noisy_gradient(0, torch.zeros(0, 1, 12, 12), None, 0.5)
        noise = noisy(learner)
        assert float(noise.std()) == pytest.approx(3.0 * 0.5 / 10, rel=0.1)
        counts = [len(steps.draw(step)) for step in range(50)]
        assert np.mean(counts) == pytest.approx(1000, rel=0.03)
        assert np.std(counts) == pytest.approx(np.sqrt(4000 * 0.25 * 0.75), rel=0.4)

    def test_a_training_that_was_stopped_goes_on_to_the_same_weights(self) -> None:
        data = pictures(48)

        def trainer() -> Trainer:
            return open_training(data, small("dense"), **PRIVATE, precision="float32")

        all_images, first, second = trainer(), trainer(), trainer()
        for _ in range(6):
            all_images.train_step()
        for _ in range(3):
            first.train_step()
        second.load_state_dict(first.state_dict())
        for _ in range(3):
            second.train_step()
        assert torch.equal(weights(all_images.learner.module), weights(second.learner.module))
        config = TrainConfig(**PRIVATE)
        assert TrainPlan.from_dict(all_images.plan.to_dict(), config) == all_images.plan

    def test_a_delta_that_protects_nobody_is_refused(self) -> None:
        with pytest.raises(UsageError, match="revealed"):
            trained(delta=0.03)

    def test_rare_budgets_are_reached_or_refused(self) -> None:
        for epsilon in (0.02, 1000.0):
            config = TrainConfig(private=epsilon, delta=1e-4)
            terms = privacy.plan_privacy(config, count=1000, batch=100, steps=50)
            assert terms is not None
            assert terms.spent(50) <= epsilon < 1.1 * terms.spent(50) + 0.01
        with pytest.raises(UsageError, match="no noise gives"):
            tiny = TrainConfig(private=1e-6, delta=1e-4)
            privacy.plan_privacy(tiny, count=1000, batch=100, steps=50)
