from __future__ import annotations

import pytest
import torch
from scripts import load_script

from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipe import Recipe

_SCRIPT = load_script("benchmarks/sensitivity.py")
NOISE, sensitivity = _SCRIPT.NOISE, _SCRIPT.sensitivity


def linear(code: int = 3) -> Autoencoder:
    """One matrix each way: its Jacobian is that matrix."""
    recipe = Recipe(code=str(code)).with_settings(["backbone=dense", "backbone.width="])
    return build(recipe, channels=1, size=(6, 5))


def images(count: int = 40) -> torch.Tensor:
    return torch.rand(count, 1, 6, 5, generator=torch.Generator().manual_seed(0))


def test_a_linear_code_has_the_jacobian_and_the_movements_of_its_matrix() -> None:
    model, given = linear(), images()
    matrix = model.encoder.get_parameter("last.weight").detach()
    codes = given.flatten(1) @ matrix.T
    variance = codes.var(0, correction=0)
    result = sensitivity(model, given, probes=200)
    assert result.jacobian == pytest.approx(float(matrix.norm() / variance.mean().sqrt()), rel=0.05)
    moved = torch.cat([given[..., :1], given[..., :-1]], -1)
    steps = ((moved - given).flatten(1) @ matrix.T).norm(dim=1).mean()
    assert result.shift == pytest.approx(float(steps / variance.sum().sqrt()), rel=1e-4)
    assert result.noise == pytest.approx(NOISE * float(matrix.norm() / variance.sum().sqrt()), rel=0.2)


def test_a_smaller_code_gains_nothing() -> None:
    model, given = linear(), images()
    before = sensitivity(model, given)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(0.01)
    after = sensitivity(model, given)
    assert after.jacobian == pytest.approx(before.jacobian, rel=1e-3)
    assert after.shift == pytest.approx(before.shift, rel=1e-3)
    assert after.noise == pytest.approx(before.noise, rel=1e-3)


def test_it_says_what_it_cannot_measure() -> None:
    with pytest.raises(ValueError, match="two images"):
        sensitivity(linear(), images(1))
    with pytest.raises(ValueError, match="same for all"):
        sensitivity(linear(), images(1).expand(3, -1, -1, -1).contiguous())
