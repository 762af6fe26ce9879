"""Digits with labels, and a features model of them, trained once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import isthmus
from isthmus.features import readout as readouts
from isthmus.features.readout import FeatureExtractor
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder


def digits(first: int, last: int) -> ImageSet:
    """Real handwritten digits of 16×16 pixels, in an order mixed once."""
    data, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(data))[first:last]
    pixels = (data[order].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return read(pixels.repeat(2, axis=1).repeat(2, axis=2), labels=labels[order])


@pytest.fixture(scope="session")
def train() -> ImageSet:
    return digits(0, 400)


@pytest.fixture(scope="session")
def test() -> ImageSet:
    return digits(400, 600)


@pytest.fixture(scope="session")
def model(train: ImageSet) -> Autoencoder:
    settings = ["bottleneck.k=4", "backbone.side=5"]
    result = isthmus.train(
        train, recipe="features", code="32@4", settings=settings, steps=10, precision="float32"
    )
    readouts.attach_extractor(result, readouts.fit_extractor(result, train))
    return result


@pytest.fixture(scope="session")
def readout(model: Autoencoder) -> FeatureExtractor:
    result = readouts.read_extractor(model)
    assert result is not None
    return result


@pytest.fixture(scope="session")
def plain(train: ImageSet) -> Autoencoder:
    """A `conv` model, without a readout of its own."""
    settings = ["backbone.width=8", "backbone.blocks=1"]
    return isthmus.train(train, recipe="conv", code="8", settings=settings, steps=60, precision="float32")
