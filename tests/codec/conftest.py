"""A small trained codec that is kept with the tests, and photos that come with scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from isthmus.codec.ready import Codec, make_codec
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import load

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"


@pytest.fixture(scope="session")
def model() -> Autoencoder:
    return load(MODEL)


@pytest.fixture(scope="session")
def codec(model: Autoencoder) -> Codec:
    return make_codec(model)


@pytest.fixture(scope="session")
def photo() -> npt.NDArray[np.uint8]:
    """(300, 451, 3) uint8: a cat."""
    return np.ascontiguousarray(data.chelsea())
