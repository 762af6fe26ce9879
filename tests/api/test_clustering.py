"""`isthmus.cluster`: groups of images, with and without labels, and the files they are saved as."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.errors import DataError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "cluster": Parity(["cluster", MODEL, "photos", "-k", "2"], lambda: isthmus.cluster(MODEL, "photos", 2)),
    "cluster, all options": Parity(
        [
            *("cluster", MODEL, "photos", "--clusters", "3", "--method", "gmm", "--space", "spectral"),
            *("--neighbours", "4", "--layer", "code", "--seeds", "2", "--no-baselines", "--limit", "12"),
            *("--seed", "5", "-o", "groups.csv", "-o", "groups.png"),
        ],
        lambda: isthmus.cluster(
            MODEL,
            "photos",
            3,
            method="gmm",
            space="spectral",
            neighbours=4,
            layer="code",
            seeds=2,
            baselines=False,
            limit=12,
            seed=5,
        ),
    ),
    "cluster, hdbscan": Parity(
        ["cluster", MODEL, "photos", "-k", "2", "--method", "hdbscan", "--picture", "groups.png"],
        lambda: isthmus.cluster(MODEL, "photos", 2, method="hdbscan"),
    ),
}


@pytest.mark.usefixtures("here")
def test_the_result_is_saved_by_suffix(tmp_path: Path) -> None:
    result = isthmus.cluster(MODEL, "photos", 2, seeds=2)
    assert [group.images for group in result.groups] == np.bincount(result.assigned).tolist()
    assert 0.5 <= result.agreement["features"].accuracy <= 1
    assert set(result.agreement) == {"features", "pixels", "pca"}
    assert result.assigned[result.names.index(result.groups[1].typical[0])] == 1
    rows = list(csv.DictReader(result.save(tmp_path / "g.csv").read_text().splitlines()))
    assert [(row["name"], int(row["group"])) for row in rows] == [
        *zip(result.names, result.assigned.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(np.load(result.save(tmp_path / "g.npz"))["points"], result.points)
    assert result.save(tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("here")
def test_images_without_labels_are_grouped() -> None:
    images = np.random.default_rng(0).integers(0, 255, (12, 12, 12), dtype=np.uint8)
    result = isthmus.cluster(MODEL, images, 3)
    assert result.agreement == {} and len(result.groups) == 3
    assert result.summary() == "3 groups of 12 images"
    assert "most typical" in result.table()
    assert result.draw().startswith(b"\x89PNG")


@pytest.mark.usefixtures("here")
def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot form 30 clusters"):
        isthmus.cluster(MODEL, "photos", 30)
    with pytest.raises(UsageError, match="clusters=0"):
        isthmus.cluster(MODEL, "photos", 0)
    with pytest.raises(UsageError, match="did you mean 'kmeans'"):
        isthmus.cluster(MODEL, "photos", 2, method="kmean")  # type: ignore[arg-type]


@pytest.mark.usefixtures("here")
def test_scaling_is_of_these_images_also_where_the_model_stores_one() -> None:
    model = isthmus.load(MODEL)
    assert "readout" in model.attachments
    result = isthmus.cluster(model, "photos", 2, space="features")
    model.attachments.clear()
    again = isthmus.cluster(model, "photos", 2, space="features")
    assert result.reference == again.reference == "data"
    np.testing.assert_array_equal(result.points, again.points)


def test_images_of_one_picture_are_refused_with_counts(tmp_path: Path) -> None:
    same = np.full((20, 16, 16, 1), 90, np.uint8)
    same[:5] = 120
    model = isthmus.train(np.random.default_rng(0).random((20, 16, 16, 1)), recipe="dense", code="2", steps=2)
    with pytest.raises(
        DataError, match="its 20 images show only 2 different pictures, too few for 3 clusters"
    ):
        isthmus.cluster(model, same, 3)
    with pytest.raises(DataError, match="its 15 images show only 1 different picture"):
        isthmus.cluster(model, same[5:], 1, method="hdbscan")
    with pytest.raises(DataError, match="its 15 normal images are all the same picture"):
        isthmus.anomalies(model, same, normal=same[5:])
    assert main(["cluster", "model.safetensors", str(tmp_path)]) == 2  # no number of groups


def test_a_density_clustering_that_finds_no_group_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.features import clustering

    monkeypatch.setattr(clustering, "_assign", lambda places, *_: np.full(len(places), -1, np.int64))
    images = np.random.default_rng(0).random((20, 16, 16, 1), dtype=np.float32)
    model = isthmus.train(images, recipe="dense", code="2", steps=2)
    result = isthmus.cluster(model, images, 2, method="hdbscan")
    assert (result.groups, result.ungrouped) == ((), 20)
    assert result.rows()[1] == [["none", 20, "0"]]
    assert result.summary() == "0 groups of 20 images, 20 in none"
    for suffix in (".csv", ".json", ".npz", ".png"):
        result.save(tmp_path / f"groups{suffix}")
    with Path(tmp_path / "groups.csv").open(newline="") as stream:
        assert [row["group"] for row in csv.DictReader(stream)] == ["-1"] * 20
