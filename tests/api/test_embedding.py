"""`isthmus.embed`: scaling never depends on the query or on the order of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.errors import DataError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "embed": Parity(["embed", MODEL, "photos", "-o", "a.npz"], lambda: isthmus.embed(MODEL, "photos")),
    "embed, all options": Parity(
        [
            *("embed", MODEL, "photos", "--what", "full", "--layer", "code", "--reference", "photos/left"),
            *("--limit", "5", "--store", "-o", "a.json", "-o", "a.csv"),
        ],
        lambda: isthmus.embed(
            MODEL, "photos", what="full", layer="code", reference="photos/left", limit=5, store=True
        ),
    ),
    "embed, code": Parity(
        ["embed", MODEL, "photos", "--what", "code", "-o", "a.json"],
        lambda: isthmus.embed(MODEL, "photos", what="code"),
    ),
}


@pytest.mark.usefixtures("here")
def test_one_image_alone_has_the_vector_that_it_has_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    everything = isthmus.embed(MODEL, "photos")
    row = everything.names.index("left/1.png")
    alone = isthmus.embed(MODEL, "photos/left/1.png")
    np.testing.assert_allclose(alone.vectors[0], everything.vectors[row], atol=1e-5)
    assert main(["embed", MODEL, "photos/left/1.png", "-o", "one.npz"]) == 0
    capsys.readouterr()
    np.testing.assert_array_equal(np.load("one.npz")["vectors"], alone.vectors)


@pytest.mark.usefixtures("here")
def test_without_training_images_a_reference_is_asked_for() -> None:
    Path("photos").rename("moved")
    network = isthmus.load(MODEL)
    network.attachments.clear()
    with pytest.raises(DataError) as caught:
        isthmus.embed(network, "moved")
    assert "reference=DATA" in str(caught.value.hint)
    assert isthmus.embed(network, "moved", reference="moved").reference == "reference"
