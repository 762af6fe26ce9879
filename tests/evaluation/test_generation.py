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
    fit_component_features,
    load_shipped_features,
    read_features,
    write_features,
)
from isthmus.evaluation.generation import BAR, FLOOR, evaluate_generation, memorised
from isthmus.generation.prior_store import fit_prior
from isthmus.images.store import ImageSet
from isthmus.reports.page import Report
from isthmus.training.api import train
from isthmus.training.classifier import Classifier, accuracy, train_classifier


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
    known, unseen = squares(400, 0), squares(120, 1)
    model = train(
        known, recipe="dense", code="4", settings=["backbone.width=32"], steps=200, precision="float32"
    )
    fit_prior(model, known, kind="mixture", components=4)
    found = evaluate_generation(model, unseen, train=known)
    rows = {row.name: row for row in found.rows}
    assert [*rows] == [FLOOR, BAR, "reconstructions", "samples, mixture prior"]
    assert (rows[FLOOR].relative, rows[BAR].relative) == (0, 1)
    assert rows[FLOOR].frechet == min(row.frechet for row in found.rows)
    assert abs(rows[FLOOR].two_sample - 0.5) < 0.15
    assert found.features["kind"] == "pca"
    assert json.loads(json.dumps(found.to_dict()))["images"] == 120
    copies = memorised(known.stack(range(100)), unseen, known)
    assert (copies.copied, copies.ratio) == (1, 0)
    assert np.array_equal(copies.pairs[:, 0], copies.pairs[:, 1])
    fair = memorised(squares(100, 2).stack(range(100)), unseen, known)
    assert fair.copied < 0.1
    assert fair.ratio == pytest.approx(1, abs=0.2)
    report = Report("made")
    add_generation(report, found)
    assert GENERATION in report.html()
    with pytest.raises(DataError, match="at least 8"):
        evaluate_generation(model, unseen.subset(range(4)), train=known)


def test_a_classifier_learns_and_keeps_its_features_in_a_file(tmp_path: Path) -> None:
    known, unseen = squares(300, 0), squares(100, 1)
    network = train_classifier(known, steps=60, batch=32, shift=1)
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


def test_components_take_images_of_any_size() -> None:
    space = fit_component_features(squares(60, 0))
    bigger = ImageSet(np.zeros((3, 20, 20, 3), np.uint8), ("a", "b", "c"))
    assert space(bigger).shape == (3, 59)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.safetensors")))
def test_shipped_features_are_the_ones_on_their_card(name: str) -> None:
    features = load_shipped_features(f"{name}:test")
    assert features is not None
    assert features.facts["test_accuracy"] >= {"mnist": 0.99, "fashion-mnist": 0.91}[name]
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 1_000_000
