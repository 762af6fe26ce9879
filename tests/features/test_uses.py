"""classify, cluster, search and anomalies, on real digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError, ModelFileError, UsageError
from isthmus.features import anomalies as unusual
from isthmus.features import index
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.readout import FeatureExtractor
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder


def test_features_tell_digits_apart_better_than_pixels(
    model: Autoencoder, train: ImageSet, test: ImageSet
) -> None:
    result = isthmus.classify(model, train, test, few_labels=3, draws=2)
    rows = {row.name: row for row in result.scores}
    assert list(rows) == ["features", "code", "pixels", "pca"]
    assert rows["features"].linear > 0.93
    assert rows["features"].knn > 0.9
    assert rows["features"].linear >= rows["pixels"].linear - 0.01
    few = rows["features"].few_spread
    assert few is not None and few > 0.7
    assert result.confusion.sum() == len(test)
    assert np.trace(result.confusion) / len(test) == pytest.approx(rows["features"].linear)
    assert ((result.confidence > 0.09) & (result.confidence <= 1)).all()


def test_classes_are_matched_by_name(model: Autoencoder, train: ImageSet, test: ImageSet) -> None:
    unlabelled = read(np.asarray(test.pixels))
    with pytest.raises(DataError, match="no labels"):
        isthmus.classify(model, train, unlabelled)
    part = train.subset(np.flatnonzero(train.labels < 5))  # type: ignore[operator]
    with pytest.raises(DataError, match="class"):
        isthmus.classify(model, read(np.asarray(part.pixels), labels=part.labels), test)


def test_clusters_are_digits(model: Autoencoder, train: ImageSet) -> None:
    from isthmus.features.clustering import agreement

    result = isthmus.cluster(model, train, 10, space="spectral")
    assert train.labels is not None
    assert agreement(train.labels, result.assigned)["accuracy"] > 0.7


@pytest.mark.slow
def test_umap_finds_digits_too(model: Autoencoder, train: ImageSet) -> None:
    pytest.importorskip("umap")
    from isthmus.features.clustering import agreement

    result = isthmus.cluster(model, train, 10, space="umap")
    assert train.labels is not None
    assert agreement(train.labels, result.assigned)["accuracy"] > 0.7
    again = isthmus.cluster(model, train, 10, space="umap")
    np.testing.assert_array_equal(result.assigned, again.assigned)


def test_a_mixture_is_fitted_to_few_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.mixture import GaussianMixture

    from isthmus.features import clustering

    widths = []
    fit = GaussianMixture.fit_predict

    def record_rows(self: GaussianMixture, rows: np.ndarray) -> np.ndarray:
        widths.append(rows.shape[1])
        assigned: np.ndarray = fit(self, rows)
        return assigned

    monkeypatch.setattr(GaussianMixture, "fit_predict", record_rows)
    random = np.random.default_rng(0)
    truth = np.arange(120) % 3
    rows = (random.standard_normal((3, 700))[truth] + random.standard_normal((120, 700))).astype(np.float32)
    result = clustering.find_clusters(rows, 3, method="gmm")
    assert clustering.agreement(truth, result.assigned)["accuracy"] > 0.95
    assert clustering.find_clusters(rows[:, :20], 3, method="gmm").count == 3
    assert widths == [clustering.MAX_MIXTURE_DIMENSIONS, 20]


def test_an_index_is_kept_and_only_what_is_new_is_computed(
    model: Autoencoder, train: ImageSet, tmp_path: Path
) -> None:
    path = tmp_path / "digits.index"
    part = train.subset(np.arange(100))
    first = isthmus.search(model, part, part.subset([3]), count=4, index=path)
    assert (first.added, first.removed) == (100, 0)
    assert first.matches[0][0].row == 3
    assert first.matches[0][0].value == pytest.approx(1, abs=1e-5)
    values = [match.value for match in first.matches[0]]
    assert values == sorted(values, reverse=True)

    grown = train.subset(np.arange(5, 110))
    second = isthmus.search(model, grown, part.subset([3, 50]), count=4, index=path, metric="l2")
    assert (second.added, second.removed) == (10, 5)
    assert second.matches[1][0].row == 45
    assert second.matches[1][0].value == pytest.approx(0, abs=1e-3)
    stored_index = index.load_index(path)
    refresh = index.IndexRefresh(model, stored_index.readout, grown)
    list(refresh.run())
    fresh = refresh.finish().index
    np.testing.assert_allclose(stored_index.vectors, fresh.vectors, atol=1e-4)
    assert stored_index.names == grown.names


def test_an_index_of_another_model_is_not_used(
    model: Autoencoder, plain: Autoencoder, train: ImageSet, tmp_path: Path
) -> None:
    path = tmp_path / "digits.index"
    part = train.subset(np.arange(30))
    isthmus.search(model, part, part.subset([0]), count=1, index=path)
    other = isthmus.search(plain, part, part.subset([0]), count=1, index=path)
    assert other.added == 30


def test_a_damaged_index_is_named(model: Autoencoder, train: ImageSet, tmp_path: Path) -> None:
    path = tmp_path / "digits.index"
    model.save(path)
    with pytest.raises(ModelFileError, match="not a search index"):
        isthmus.search(model, train, train.subset([0]), index=path)
    path.write_text("a list of something else\n")
    with pytest.raises(ModelFileError, match=r"digits\.index is not a search index"):
        isthmus.search(model, train, train.subset([0]), index=path)
    assert path.read_text() == "a list of something else\n"


def inverted(images: ImageSet) -> ImageSet:
    return read(255 - np.asarray(images.pixels))


@pytest.mark.parametrize(
    "kind", ["density", "mixture", "neighbour", "local", "levels", "structure", "reconstruction"]
)
def test_other_images_score_higher_and_normal_ones_raise_few_alarms(
    kind: Kind, model: Autoencoder, train: ImageSet, test: ImageSet
) -> None:
    normal = isthmus.anomalies(model, test, normal=train, score=kind, false_alarms=0.1)
    assert normal.flagged.mean() < 0.2
    noise = read(np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8))
    strange = isthmus.anomalies(model, noise, normal=train, score=kind, false_alarms=0.1)
    assert strange.threshold == normal.threshold
    assert np.median(strange.scores) > np.quantile(normal.scores, 0.9)
    assert strange.flagged.mean() > 0.5
    assert strange.heat(3).shape == (16, 16)


def test_a_digit_left_out_is_found(model: Autoencoder, train: ImageSet, test: ImageSet) -> None:
    from sklearn.metrics import roc_auc_score

    assert train.labels is not None and test.labels is not None
    zeros = train.subset(np.flatnonzero(train.labels == 0))
    result = isthmus.anomalies(model, test, normal=zeros)
    assert roc_auc_score(test.labels != 0, result.scores) > 0.98
    assert test.labels[result.worst(1)[0]] != 0


def test_a_threshold_is_the_conformal_order_statistic() -> None:
    scores = np.arange(1, 100, dtype=np.float64)
    detector = unusual.Detector((), scores, scores, 0.05, 10)
    assert detector.threshold == 95
    assert detector.p_value(np.array([1000.0, 0.0]))[0] == pytest.approx(1 / 100)
    few = unusual.Detector((), scores[:5], scores[:5], 0.01, 10)
    assert (few.false_alarms, few.threshold) == (1 / 6, 5)  # the smallest rate that five pictures allow
    none = unusual.Detector((), scores[:0], scores[:0], 0.01, 10)
    assert none.threshold == np.inf
    with pytest.raises(UsageError, match="between 0 and 1"):
        few.with_rate(0)


def test_a_detector_survives_the_file(
    model: Autoencoder, readout: FeatureExtractor, train: ImageSet, test: ImageSet, tmp_path: Path
) -> None:
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    with pytest.raises(DataError, match="normal"):
        isthmus.anomalies(again, test)
    detector = unusual.fit_detector(model, readout, train, "mixture", false_alarms=0.01)
    unusual.store_detector(again, detector, readout)
    again.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    first = unusual.score(model, readout, detector, test)
    np.testing.assert_allclose(isthmus.anomalies(again, test).scores, first, rtol=1e-5)
    # More false alarms lower the stored threshold; another score has nothing stored to go by.
    few, many = (isthmus.anomalies(again, test, false_alarms=rate) for rate in (0.05, 0.5))
    assert few.score == "mixture" and few.threshold > many.threshold
    assert few.reference == "model"
    assert few.flagged.sum() < many.flagged.sum()
    with pytest.raises(DataError, match="holds the score 'mixture'"):
        isthmus.anomalies(again, test, score="density")
    again.attachments["anomalies"].facts["kind"] = "magic"
    with pytest.raises(ModelFileError, match="damaged"):
        unusual.read_detector(again)


def test_a_defect_in_a_large_picture_is_found_where_it_is(model: Autoencoder, train: ImageSet) -> None:
    tile = np.concatenate([np.asarray(train.pixels)[i] for i in range(40)], 1)  # 16 × 640
    strip = np.concatenate([np.roll(tile, 37 * i, 1) for i in range(4)], 0)[..., 0]  # 64 × 640
    normal = read(np.stack([np.roll(strip, 16 * i, 1) for i in range(3)]))
    broken = strip.copy()
    broken[20:34, 300:314] = 255 - broken[20:34, 300:314]
    data = read(np.stack([strip, broken]))
    result = isthmus.anomalies(model, data, normal=normal, score="local", tiles=True)
    assert result.worst(1) == [1]
    # Two pictures of 64 × 640: tiles of 16 × 16 that share half of their sides.
    assert result.tiles == 2 * 7 * 79
    heat = result.heat(1)
    top, left = np.unravel_index(int(heat.argmax()), heat.shape)
    assert heat.shape == strip.shape
    assert abs(int(top) - 27) <= 16 and abs(int(left) - 307) <= 16


def test_what_cannot_be_asked_is_refused(model: Autoencoder, train: ImageSet) -> None:
    with pytest.raises(UsageError, match="a share between 0 and 1"):
        isthmus.anomalies(model, train, normal=train, false_alarms=1.5)
    with pytest.raises(DataError, match="at least 10"):
        isthmus.anomalies(model, train, normal=train.subset(np.arange(5)))
    with pytest.raises(UsageError, match="not known"):
        isthmus.embed(model, train, what="all")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="metric"):
        isthmus.search(model, train, train.subset([0]), metric="l1")  # type: ignore[arg-type]


def test_faiss_finds_the_same(
    model: Autoencoder, train: ImageSet, test: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    queries = test.subset(np.arange(20))
    first = isthmus.search(model, train, queries, count=5, metric="l2")
    monkeypatch.setattr(index, "MIN_FAISS_ROWS", 10)
    second = isthmus.search(model, train, queries, count=5, metric="l2")
    for a, b in zip(first.matches, second.matches, strict=True):
        assert [match.row for match in a] == [match.row for match in b]
        np.testing.assert_allclose([m.value for m in a], [m.value for m in b], atol=1e-3)
