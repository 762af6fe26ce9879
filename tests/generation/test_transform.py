"""Paths start and end where they should; directions lead from one group to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import DataError, ModelFileError, UsageError
from isthmus.generation.codes import encode_images
from isthmus.generation.directions import drop_class, load_direction, select_class
from isthmus.generation.mixture import fit_mixture
from isthmus.generation.sampling import code_path, pull_to_prior

from .models import discs, fresh, trained


@pytest.mark.parametrize("path", ["linear", "spherical", "prior"])
def test_a_path_begins_and_ends_with_the_images_as_the_model_sees_them(path: Any) -> None:
    model, images = fresh(), discs(240)
    isthmus.fit_prior(model, images, kind="mixture", components=4)
    given = [images.image(0), images.image(1), images.image(2)]
    frames = isthmus.interpolate(model, given, frames=5, path=path).pixels
    assert frames.shape == (9, 12, 12, 1)
    for index, image in zip((0, 4, 8), given, strict=True):
        if path != "prior" or index != 4:
            assert np.abs(frames[index].astype(int) - model.reconstruct(image)).max() <= 1


def test_a_grid_code_takes_images_of_other_sizes() -> None:
    images = discs(4, side=21)
    frames = isthmus.interpolate(fresh("4@4"), [images.image(0), images.image(1)], frames=3).pixels
    assert frames.shape == (3, 21, 21, 1)


def test_a_round_path_keeps_the_length_and_the_pace() -> None:
    a, b = torch.tensor([3.0, 0, 0]), torch.tensor([0, 3.0, 0])
    points = code_path(torch.stack([a, b]), 5, spherical=True)
    torch.testing.assert_close(points.norm(dim=1), torch.full((5,), 3.0))
    angles = torch.atan2(points[:, 1], points[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, torch.pi / 2, 5), atol=1e-5, rtol=0)
    straight = code_path(torch.stack([a, b]), 3)
    torch.testing.assert_close(straight[1], torch.tensor([1.5, 1.5, 0]))


def test_points_where_the_prior_has_nothing_are_drawn_to_where_it_has_something() -> None:
    random = torch.Generator().manual_seed(0)
    angle = torch.rand(800, generator=random) * 2 * torch.pi
    ring = torch.stack([angle.cos(), angle.sin()], 1) + 0.03 * torch.randn(800, 2, generator=random)
    prior = fit_mixture(ring, components=16)
    ends = torch.tensor([[1.0, 0], [-1.0, 0.05]])
    line = code_path(ends, 9)
    bent = pull_to_prior(prior, line, ends)
    assert float(line.norm(dim=1).min()) < 0.1
    assert float(bent.norm(dim=1).min()) > 0.7
    assert torch.equal(bent[0], ends[0])
    assert torch.equal(bent[-1], ends[1])


@pytest.mark.parametrize("method", ["means", "discriminant"])
def test_a_direction_leads_from_one_group_to_the_other(method: Any, tmp_path: Path) -> None:
    model, images = fresh(), discs(240)
    right, left = select_class(images, "right"), drop_class(images, "right")
    direction = isthmus.find_direction(model, right, left, method=method)
    assert direction.auc > 0.95
    moved = encode_images(model, left) + torch.from_numpy(direction.step)
    axis = torch.from_numpy(direction.step / np.linalg.norm(direction.step))
    target_projection = float((encode_images(model, right) @ axis).mean())
    assert float((moved @ axis).mean()) == pytest.approx(target_projection, rel=1e-3, abs=1e-3)
    direction.save(tmp_path / "d.safetensors")
    again = load_direction(tmp_path / "d.safetensors")
    assert np.array_equal(again.step.numpy(), direction.step)
    assert again.facts["auc"] == direction.auc
    made = isthmus.transform(model, left.image(0), tmp_path / "d.safetensors", [0.0, 1.0])
    strip = made.pixels.astype(float)
    assert np.abs(strip[0] - left.image(0)).max() <= 1
    assert strip[1][:, 6:].sum() > strip[0][:, 6:].sum()


def test_a_direction_is_of_the_model_that_it_was_learned_with() -> None:
    model, images = fresh(), discs(40)
    direction = isthmus.find_direction(model, select_class(images, "right"), select_class(images, "left"))
    other = trained("4", "objective.image=l1")  # codes of the same shape
    with pytest.raises(DataError, match="another model"):
        isthmus.transform(other, images.image(0), direction, [1.0])


def test_groups_that_cannot_be_told_apart_have_an_auc_of_a_half() -> None:
    images = discs(40)
    other = discs(2, seed=9)
    pixels = np.concatenate([np.repeat(images.stack([0]), 9, 0), other.stack([1])])
    same = np.repeat(images.stack([0]), 10, 0)
    assert isthmus.find_direction(fresh(), pixels, same).auc == pytest.approx(0.5 + 0.1 / 2)


def test_a_grid_direction_moves_images_of_other_sizes() -> None:
    model, images = fresh("4@4"), discs(60)
    direction = isthmus.find_direction(model, select_class(images, "right"), select_class(images, "left"))
    assert isthmus.transform(model, discs(1, side=24).image(0), direction, [1.0]).pixels.shape == (
        1,
        24,
        24,
        1,
    )


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    model, images = fresh(), discs(20)
    with pytest.raises(UsageError, match="no class 'up'"):
        select_class(images, "up")
    with pytest.raises(UsageError, match="two images"):
        isthmus.interpolate(model, [images.image(0)])
    with pytest.raises(UsageError, match="did you mean 'linear'"):
        isthmus.interpolate(model, [images.image(0), images.image(1)], path="linar")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="same code on average"):
        isthmus.find_direction(model, images, images)
    right, left = select_class(images, "right"), select_class(images, "left")
    direction = isthmus.find_direction(fresh("4@4"), right, left)
    with pytest.raises(DataError, match="another model"):
        isthmus.transform(model, images.image(0), direction, [1.0])
    with pytest.raises(UsageError, match="finite"):
        isthmus.transform(model, images.image(0), isthmus.find_direction(model, right, left), [float("nan")])
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="not a direction"):
        load_direction(tmp_path / "m.safetensors")
