"""The table of new images: real ones score best, copies are found, and the page shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.api.pages.sections import GENERATION, add_generation
from isthmus.errors import DataError, ModelFileError
from isthmus.evaluation.feature_network import (
    FOLDER,
    find_features,
    load_shipped_features,
    read_features,
    write_features,
)
from isthmus.evaluation.generation import BAR, FLOOR, MIXTURE, draw_gaussian, evaluate_generation
from isthmus.generation.prior_store import fit_prior
from isthmus.images.store import ImageSet
from isthmus.metrics.structure import blur_gaussian
from isthmus.reports.page import Report
from isthmus.training.classifier import Classifier, accuracy, train_classifier
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model


def squares(count: int, seed: int) -> ImageSet:
    """Two classes of images: a bright square at the top or at the bottom."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 30, (count, 12, 12, 1)).astype(np.uint8)
    for index, label in enumerate(labels):
        x, y = random.integers(1, 7), random.integers(0, 2) + 6 * label
        pixels[index, y : y + 4, x : x + 4] = random.integers(150, 256)
    return ImageSet(pixels, tuple(map(str, range(count))), labels, ("top", "bottom"), source="squares")


def test_real_images_score_best_and_copies_are_found() -> None:
    train_images, unseen = squares(400, 0), squares(120, 1)
    model = train_model(
        train_images,
        TrainConfig(steps=200, precision="float32"),
        recipe="dense",
        code="4",
        settings=["backbone.width=32"],
    )
    fit_prior(model, train_images, kind="mixture", components=4)
    copies, others = train_images.stack(range(120)), squares(120, 2).stack(range(120))
    more = {"copies": copies, "others": others, "smooth": smoothed(others)}
    result = evaluate_generation(model, unseen, train=train_images, others=more)
    rows = {row.name: row for row in result.rows}
    assert [*rows] == [FLOOR, BAR, MIXTURE, "reconstructions", "samples, mixture prior", *more]
    assert (rows[FLOOR].relative, rows[BAR].relative) == (0, 1)
    assert rows[FLOOR].frechet < 0.5 * rows[MIXTURE].frechet
    assert abs(rows[FLOOR].two_sample - 0.5) < 0.15
    relative = {name: row.relative or 0.0 for name, row in rows.items()}
    assert relative["smooth"] > 5 * abs(relative["others"])
    assert rows["smooth"].detail < 0.5 < 0.9 < rows["others"].detail < 1.1
    assert (rows["copies"].copied, rows[FLOOR].copied) == (1, None)
    assert (rows["others"].copied or 0.0) < 0.15
    assert result.features["kind"] == "classifier"
    assert json.loads(json.dumps(result.to_dict()))["images"] == 120
    assert result.memory.ratio > 0.2
    report = Report("made")
    add_generation(report, result)
    assert GENERATION in report.html()
    with pytest.raises(DataError, match="at least 8"):
        evaluate_generation(model, unseen.subset(range(4)), train=train_images)


def smoothed(pixels: np.ndarray) -> np.ndarray:
    """Images without their fine detail."""
    blurred = blur_gaussian(torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), 2.0)
    return np.ascontiguousarray(blurred.permute(0, 2, 3, 1).round().to(torch.uint8).numpy())


def test_features_are_trained_once_and_kept_in_a_file(tmp_path: Path) -> None:
    train_images, unseen = squares(200, 0), squares(60, 1)
    path = tmp_path / "features.safetensors"
    first = find_features(path, "squares", train_images, unseen)
    again = find_features(path, "squares", train_images.subset(range(10)), unseen)
    assert first.facts == again.facts
    assert first.facts["kind"] == "classifier"
    torch.testing.assert_close(first(unseen), again(unseen))
    unlabelled = ImageSet(train_images.pixels, train_images.names, source="squares")
    twice = [find_features(None, "squares", unlabelled, unseen).facts for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0]["kind"] == "self-supervised"
    assert twice[0]["hash"] != first.facts["hash"]


def test_one_gaussian_has_the_moments_of_the_pixels() -> None:
    random = np.random.default_rng(0)
    shades = random.normal(0, 20, (900, 1, 1, 1)) + random.normal(0, 5, (900, 2, 3, 1)) + 128
    drawn = draw_gaussian(ImageSet(shades.astype(np.uint8), tuple(map(str, range(900)))), 4000)
    given, made = shades.reshape(900, 6), drawn.reshape(4000, 6).astype(float)
    assert np.abs(given.mean(0) - made.mean(0)).max() < 2
    assert np.abs(np.cov(given.T) - np.cov(made.T)).max() < 40


def test_a_classifier_learns_and_keeps_its_features_in_a_file(tmp_path: Path) -> None:
    train_images, unseen = squares(300, 0), squares(100, 1)
    network = train_classifier(train_images, steps=60, batch=32, shift=1)
    assert accuracy(network, unseen) > 0.9
    digest = write_features(tmp_path / "f.safetensors", network, {"test_accuracy": 0.9, "data": "squares"})
    features = read_features(tmp_path / "f.safetensors")
    assert features.facts["hash"] == digest
    made = features(unseen)
    assert made.shape == (100, 64)
    rough = torch.from_numpy(unseen.stack(range(100))).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(made, network.features(rough), atol=0.05, rtol=0.01)
    card = json.loads((tmp_path / "f.json").read_text())
    (tmp_path / "f.json").write_text(json.dumps({**card, "hash": "0"}))
    with pytest.raises(ModelFileError, match="has the hash"):
        read_features(tmp_path / "f.safetensors")


def test_a_classifier_wants_labels_and_room() -> None:
    images = squares(10, 0)
    with pytest.raises(DataError, match="no labels"):
        train_classifier(ImageSet(images.pixels, images.names), steps=1)
    with pytest.raises(DataError, match="at least 8×8"):
        small = ImageSet(np.zeros((4, 6, 6, 1), np.uint8), ("a",) * 4, np.zeros(4, np.int64), ("x",))
        train_classifier(small, steps=1)
    assert Classifier(3, (9, 13), 2)(torch.zeros(2, 3, 9, 13)).shape == (2, 2)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.safetensors")))
def test_shipped_features_are_the_ones_on_their_card(name: str) -> None:
    features = load_shipped_features(f"{name}:test")
    assert features is not None
    assert features.facts["test_accuracy"] >= {"mnist": 0.99, "fashion-mnist": 0.91}[name]
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 1_000_000
