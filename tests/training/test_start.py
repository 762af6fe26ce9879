"""Where an untrained model starts: at the images' brightness, and a learned σ at their spread."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.model.initialisation import build_for_images, init_short
from isthmus.model.recipes import recipe


def dark(channels: int) -> ImageSet:
    random = np.random.default_rng(0)
    levels = np.linspace(20, 90, channels)
    return read(random.normal(levels, 15, (40, 16, 16, channels)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_reconstruction_is_as_bright_as_the_images(output: str, channels: int) -> None:
    images = dark(channels)
    chosen = recipe("conv").with_settings({"code": "8", "backbone.output": output, "backbone.width": "8"})
    model = build_for_images(chosen, images, (16, 16), 0).to("cpu")
    mean_output = model.reconstruct(torch.rand(32, channels, 16, 16)).mean((0, 2, 3))
    mean_colour = torch.tensor(np.asarray(images.pixels).mean((0, 1, 2)) / 255, dtype=torch.float32)
    assert (mean_output - mean_colour).abs().max() < 0.03


def test_a_learned_sigma_starts_at_the_deviation_of_the_images() -> None:
    images = dark(1)
    chosen = recipe("variational").with_settings({"objective.image": "gaussian-nll", "code": "4"})
    model = build_for_images(chosen, images, (16, 16), 0).to("cpu")
    deviation = float((np.asarray(images.pixels) / 255).std())
    assert float(model.noise_log_sigma.detach().exp()) == pytest.approx(deviation, rel=0.02)
    # Where it is not learned it stays what the term's absence makes it: a constant.
    assert float(build_for_images(recipe("variational"), images, (16, 16), 0).noise_log_sigma) == 0


@pytest.mark.parametrize(("width", "starts"), [("none", False), ("64", True)])
def test_a_short_training_starts_at_components_of_hidden_features_only(width: str, starts: bool) -> None:
    chosen = recipe("dense").with_settings({"code": "4", "backbone.width": width})
    images = dark(1)
    model = build_for_images(chosen, images, (16, 16), 0)
    assert bool(init_short(model, images, None)) is starts
