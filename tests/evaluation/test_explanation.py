"""Maps find the pixels a unit is made of, paintings what it draws, and good maps score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.api.explanation import explain
from isthmus.errors import CapabilityError, DataError, OutputError
from isthmus.features.unit_maps import gradient_maps, measure_faithfulness, occlusion_maps
from isthmus.features.units import decode_units, observe_units
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import recipe
from isthmus.reports.image_sheets import colour_signed

SIDE = 8


@pytest.fixture(scope="module")
def linear() -> Autoencoder:
    """Unit 0 is the mean of the upper left quarter, unit 1 of the lower right one; each paints it again."""
    chosen = recipe("dense").with_settings({"code": "2", "backbone.width": "", "backbone.output": "linear"})
    model = build(chosen, channels=1, size=(SIDE, SIDE)).eval().requires_grad_(False)
    weights = torch.zeros(2, SIDE, SIDE)
    weights[0, :4, :4] = weights[1, 4:, 4:] = 1 / 16
    model.encoder.get_parameter("last.weight").copy_(weights.flatten(1))
    model.encoder.get_parameter("last.bias").zero_()
    model.decoder.get_parameter("entry.weight").copy_(16 * weights.flatten(1).T)
    model.decoder.get_parameter("entry.bias").zero_()
    model.offset.zero_()
    return model


@pytest.fixture(scope="module")
def noise() -> ImageSet:
    pixels = np.random.default_rng(0).random((60, SIDE, SIDE, 1), np.float32)
    return ImageSet(pixels, tuple(map(str, range(60))))


def test_maps_are_where_the_unit_looks(linear: Autoencoder, noise: ImageSet) -> None:
    usual = observe_units(linear, noise)
    image = torch.from_numpy(noise.image(3)).permute(2, 0, 1)
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[:4, :4] = True
    change = linear.encode_batch(torch.stack([image, usual.image]))[:, 0]
    gradient = gradient_maps(linear, image, usual.image, [0])[0]
    assert torch.allclose(gradient.sum(), change[0] - change[1], atol=1e-6)
    assert gradient[~inside].abs().max() < 1e-7
    occlusion = occlusion_maps(linear, image, usual.image, [0])[0]
    assert occlusion[~inside].abs().max() < 1e-7
    assert torch.allclose(occlusion, gradient, atol=1e-6)  # of a linear unit, covering single pixels


def test_a_right_map_scores_and_a_wrong_one_does_not(linear: Autoencoder, noise: ImageSet) -> None:
    usual = observe_units(linear, noise)
    image = torch.from_numpy(noise.image(7)).permute(2, 0, 1)
    right = gradient_maps(linear, image, usual.image, [0])
    by_chance = torch.from_numpy(np.random.default_rng(1).normal(size=(SIDE, SIDE))).float()[None]
    scores = []
    for maps in (right, by_chance, -right):
        (scores_of_unit,) = measure_faithfulness(
            linear, image, usual.image, maps, [0], generator=torch.Generator().manual_seed(0)
        )
        assert scores_of_unit.deletion[0] == pytest.approx(1, abs=1e-4) and scores_of_unit.deletion[
            -1
        ] == pytest.approx(0, abs=1e-4)
        scores.append(scores_of_unit.scores)
    for kind in (0, 1):
        assert scores[0][kind] > 0.3 and abs(scores[1][kind]) < 0.3 and scores[2][kind] < -0.3


def test_paintings_are_what_the_unit_draws(linear: Autoencoder, noise: ImageSet) -> None:
    usual = observe_units(linear, noise)
    (painted,) = decode_units(linear, usual, [1])
    low, high = usual.quantiles[0, 1], usual.quantiles[-1, 1]
    assert torch.allclose(painted[0, 4:, 4:], (high - low).expand(4, 4), atol=1e-5)
    assert painted[0, :4].abs().max() == 0


def test_the_most_exciting_images_and_the_telling_units(linear: Autoencoder, noise: ImageSet) -> None:
    usual = observe_units(linear, noise)
    quarter = np.asarray(noise.pixels)[:, :4, :4, 0].mean((1, 2))
    assert usual.top_images(0, 5).tolist() == np.argsort(-quarter)[:5].tolist()
    values = usual.mean + torch.tensor([0.0, 3.0]) * usual.values.std(0)
    assert usual.rank_informative(values, 1) == [1]


@pytest.mark.parametrize(
    ("name", "code", "settings"),
    [
        ("sparse", "12", {"bottleneck.k": "3", "backbone.width": "8"}),
        ("conv", "3@4", {"backbone.width": "8", "backbone.blocks": "1"}),
        ("conv", "4", {"bottleneck": "quantised", "backbone.width": "8", "backbone.blocks": "1"}),
    ],
)
def test_every_kind_of_code(name: str, code: str, settings: dict[str, str]) -> None:
    model = build(recipe(name).with_settings({"code": code, **settings}), channels=1, size=(10, 12)).eval()
    pixels = (np.random.default_rng(0).random((8, 10, 12, 1)) * 255).astype(np.uint8)
    images = ImageSet(pixels, tuple(map(str, range(8))), source="noise")
    result = explain(model, images, reference=images, units=3)
    assert len(result.units) == 3 and result.maps["gradient"].shape == (3, 10, 12)
    assert result.traversals.shape[:2] == (3, 5)
    assert ("<h2>Dictionary</h2>" in result.page()) == (name == "sparse")


def test_the_page_stands_alone(linear: Autoencoder, noise: ImageSet, tmp_path: Path) -> None:
    result = explain(linear, noise, reference=noise, units=1)
    html = result.save(tmp_path / "explained.html").read_text("utf-8")
    assert "Can the maps be trusted?" in html and "http" not in html.replace("http-equiv", "")
    assert result.save(tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError):
        result.save(tmp_path / "maps.png")


def test_what_cannot_be_explained(linear: Autoencoder, noise: ImageSet) -> None:
    with pytest.raises(DataError, match="units 0 to 1, not 5"):
        explain(linear, noise, reference=noise, units=[0, 5])
    with pytest.raises(DataError, match="training images were not found"):
        explain(linear, noise)
    skips = build(
        recipe("denoising").with_settings({"code": "4@4", "backbone.width": "4"}), channels=1, size=(8, 8)
    )
    with pytest.raises(CapabilityError):
        explain(skips, noise, reference=noise)


def test_colours_of_signs() -> None:
    colours = colour_signed(np.array([[0.0, 1.0, -1.0, 0.5]]))
    assert colours[0, 0].tolist() == [255, 255, 255]
    assert colours[0, 1].tolist() == [0xD5, 0x5E, 0x00] and colours[0, 2].tolist() == [0x00, 0x72, 0xB2]
    assert (colours[0, 3] > colours[0, 1]).all()
