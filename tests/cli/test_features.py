"""embed and anomalies, as they are typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.__main__ import main

from .conftest import write_photos

Run = Callable[..., dict[str, Any]]


def is_png(path: Path) -> bool:
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG"


def test_vectors_come_with_names_and_labels(here: Path, document: Run) -> None:
    result = document("embed", "photos.safetensors", "photos", "-o", "v.npz", "--what", "code")
    held = np.load(here / "v.npz")
    assert held["vectors"].shape == (10, 3) == (result["images"], result["numbers"])
    assert held["vectors"].dtype == np.float32
    classes = held["classes"][held["labels"]]
    assert all(name.startswith(str(label)) for name, label in zip(held["names"], classes, strict=True))
    assert main(["embed", "photos.safetensors", "photos", "-o", "v.npz"]) == 1
    assert main(["embed", "photos.safetensors", "photos", "-o", "v.txt"]) == 2
    words = ["embed", "photos.safetensors", "photos", "-o", "w.npz", "--what", "code", "--layer", "hidden.0"]
    assert main(words) == 2
    assert not (here / "w.npz").exists()


def test_a_parquet_table_has_a_row_per_image(here: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert main(["embed", "photos.safetensors", "photos", "-o", "v.parquet"]) == 0
    table = parquet.read_table(here / "v.parquet")
    assert table.column_names == ["name", "label", "vector"]
    assert len(table) == 10


def test_a_layer_is_read_and_kept(here: Path, document: Run) -> None:
    result = document(
        "embed", "photos.safetensors", "photos", "-o", "v.npz", "--layer", "hidden.0", "--store"
    )
    assert result["layer"] == "hidden.0"
    assert document("embed", "photos.safetensors", "photos", "-o", "w.npz")["layer"] == "hidden.0"
    np.testing.assert_array_equal(np.load(here / "v.npz")["vectors"], np.load(here / "w.npz")["vectors"])


def test_an_unusual_image_is_found_and_shown(
    here: Path, document: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(here / "normal", 60)
    odd = np.random.default_rng(3).integers(0, 255, (12, 12), dtype=np.uint8)
    Image.fromarray(odd).save(here / "photos" / "left" / "odd.png")
    words = ("anomalies", "photos.safetensors", "photos", "--normal", "normal", "--score", "reconstruction")
    result = document(*words, "--false-alarms", "0.1", "--picture", "a.png", "-o", "a.csv", "--store")
    assert result["worst"][0]["name"].endswith("odd.png")
    assert result["worst"][0]["flagged"]
    assert result["tiles"] is None
    assert is_png(here / "a.png")
    assert len((here / "a.csv").read_text().splitlines()) == 12
    # What was stored is used where nothing normal is given.
    again = document("anomalies", "photos.safetensors", "photos")
    assert again["threshold"] == pytest.approx(result["threshold"])
    assert again["score"] == "reconstruction"
    # The training images have changed, so another score has nothing to go by.
    assert main(["anomalies", "photos.safetensors", "photos", "--score", "density"]) == 1
    assert "--normal DATA" in capsys.readouterr().err
    assert main(["anomalies", "photos.safetensors", "photos", "--false-alarms", "0.01"]) == 0
    assert "a rate of 0.017" in capsys.readouterr().err  # each of sixty was held out once


def test_what_is_normal_must_be_known(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos").rename(here / "moved")
    assert main(["anomalies", "photos.safetensors", "moved"]) == 1
    assert "--normal DATA" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_model_and_data_exchanged_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "photos", "photos.safetensors", "-k", "2"]) == 2
    assert "isthmus cluster photos.safetensors photos" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_of_several_images_the_explained_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "photos.safetensors", "photos", "-o", "e.html", "--units", "1"]) == 0
    assert "photos holds 10 images: the first, left/1.png, is explained" in capsys.readouterr().err
