"""Planted defects, plans of calibration, scores of pictures of any size, and what is made of maps."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from isthmus.evaluation.detection import MaskComparison, average_precision, list_good_classes, measure_labels
from isthmus.features import picture_maps, picture_rows
from isthmus.features.anomalies import Detector, Scores, map_with, read_detector, store_detector
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.detector_calibration import FOLDS, MAX_CROSS_FITTED, fit_to_pictures, make_plan
from isthmus.features.detector_choice import Candidate, choose_parts
from isthmus.features.kind_readings import RowKind, read_tiles
from isthmus.features.layers import activations
from isthmus.features.level_statistics import fit_levels
from isthmus.features.marked_regions import find_boxes, mark_pixels
from isthmus.features.normal_rows import NormalRows, Rows
from isthmus.features.part_maps import map_pictures
from isthmus.features.picture_looks import find_near_copies, list_differences, looks_to_facts
from isthmus.features.picture_maps import Part, assemble, average_scores
from isthmus.features.pictures import Picture, measure_look, shrink_pixels
from isthmus.features.planted_defects import CONTRAST, PlantedKind, measure_auroc, plant_defect, planted_sizes
from isthmus.features.power_rows import (
    PowerRow,
    describe_power,
    is_near_chance,
    power_from_facts,
    power_to_facts,
)
from isthmus.features.readout import LayerReader, fit_extractor
from isthmus.features.units import show_map
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

RANDOM = np.random.default_rng(0)


def picture(seed: int, height: int = 40, width: int = 56) -> Picture:
    """Smooth shading with a little noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 64
    phase = random.uniform(0, 6.28, 2)
    gray = 0.55 + 0.1 * np.sin(5 * x + phase[0]) * np.cos(4 * y + phase[1])
    gray += random.normal(0, 0.01, gray.shape)
    return Picture((gray.clip(0, 1) * 255).round().astype(np.uint8)[..., None])


# ---------------------------------------------------------------- planted defects


@pytest.mark.parametrize("kind", get_args(PlantedKind))
@pytest.mark.parametrize("size", [1, 2, 4, 12, 24, 400])
def test_a_planted_defect_has_the_size_and_contrast_that_were_asked_for(kind: str, size: int) -> None:
    flat = np.full((60, 80, 3), 0.4, dtype=np.float32)
    planted, mask = plant_defect(flat, size, seed=3, kind=kind)  # type: ignore[arg-type]
    change = np.abs(planted - flat).max(2)
    assert mask.any() or size <= 2
    assert (change[~mask] == 0).all()
    if size >= 4:
        rows, columns = np.nonzero(mask)
        side = min(size, 60)
        assert side * 0.6 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= side
        assert 0.7 * CONTRAST <= change.max() <= CONTRAST + 1e-6


def test_defects_are_repeated_by_their_seed_and_dark_on_bright() -> None:
    pixels = picture(0).pixels
    first, mask = plant_defect(pixels, 12, seed=5)
    again, _ = plant_defect(pixels, 12, seed=5)
    np.testing.assert_array_equal(first, again)
    other, _ = plant_defect(pixels, 12, seed=6)
    assert (first != other).any()
    bright, _ = plant_defect(np.full((20, 20, 1), 250, np.uint8), 8, seed=0)
    assert bright.min() < 0.8 and bright.max() <= 1
    assert mask.sum() > 10


def test_power_is_said_as_a_person_would() -> None:
    rows = (PowerRow(4, 0.3, 40, 0.31, 0.7), PowerRow(12, 0.3, 40, 0.92, 0.99), PowerRow(None, 0.3, 40, 1, 1))
    assert describe_power(rows, 0.01) == (
        "finds 92 % of 12-pixel defects at 1 false alarm in 100; 31 % at 4 pixels; 100 % of large ones"
    )
    assert power_from_facts(power_to_facts(rows)) == rows
    assert power_from_facts([{"size_px": "x"}]) == () == power_from_facts(None)
    assert not is_near_chance(rows) and is_near_chance((PowerRow(4, 0.3, 40, 0.1, 0.52),))
    assert planted_sizes([picture(0, 40, 60)]) == [4, 8, None]


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("count", [7, 40, 700])
def test_no_group_lies_on_both_sides_of_a_plan(count: int) -> None:
    groups = [f"part {i // 3}" for i in range(count)]
    plan = make_plan(groups, seed=1)
    scored = np.concatenate([held for _, held in plan.folds])
    assert len(scored) == len(set(scored.tolist())) == plan.calibrated
    assert len(plan.folds) == (1 if count > MAX_CROSS_FITTED else min(FOLDS, -(-count // 3)))
    for fitted, held in plan.folds:
        assert not {groups[i] for i in fitted} & {groups[i] for i in held}
        assert len(fitted)
    if count <= MAX_CROSS_FITTED:
        assert sorted(scored) == list(range(count)) == sorted(plan.fitted)


def test_what_the_network_has_seen_only_fits() -> None:
    plan = make_plan(list("abcdefgh"), seed=0, fitted=np.array([0, 2, 4, 6]))
    ((fitted, held),) = plan.folds
    assert fitted.tolist() == [0, 2, 4, 6] and held.tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(("count", "asked", "used"), [(9, 0.01, 0.1), (99, 0.01, 0.01), (199, 0.05, 0.05)])
def test_the_rate_is_raised_to_what_the_held_out_pictures_allow(
    count: int, asked: float, used: float
) -> None:
    scores = np.arange(1.0, count + 1)
    result = Detector((Part("reconstruction", 0, "max", {}),), scores, scores, asked, 10)
    assert result.false_alarms == pytest.approx(used)
    rank = count + 1 - round(used * (count + 1))
    assert result.threshold == rank
    assert result.with_rate(0.5).threshold == np.ceil((count + 1) / 2)


# ---------------------------------------------------------------- scores of pictures


@pytest.mark.parametrize("tiles", [0, 1, 2])
@pytest.mark.parametrize(
    "kind", ["density", "mixture", "neighbour", "local", "levels", "structure", "reconstruction"]
)
def test_a_picture_has_one_score_alone_and_among_others_of_other_sizes(
    kind: Kind, tiles: int, model: Autoencoder, train: ImageSet
) -> None:
    extractor = fit_extractor(model, train.subset(np.arange(60)))
    pictures = [picture(i, 24 + 4 * (i % 5), 48) for i in range(25)]
    rows = NormalRows(model, extractor, pictures)
    part = rows.fit(Part(kind, tiles, "max", {}), np.arange(18), 0)
    together = list(map_pictures(model, extractor, part, pictures[15:]))
    for entry, among in zip(pictures[15:], together, strict=True):
        (alone,) = map_pictures(model, extractor, part, [entry])
        assert alone.score == pytest.approx(among.score, rel=1e-9)
        np.testing.assert_allclose(alone.heat, among.heat, rtol=1e-6)
        if part.reading == "max":
            assert alone.score == pytest.approx(float(among.heat.max()), rel=1e-6)
    scores_before = rows.scores([part], np.arange(15, 25))  # from what was read before
    np.testing.assert_allclose(scores_before, [m.score for m in together], rtol=1e-9)


def test_a_score_without_places_is_shown_by_what_covering_does(model: Autoencoder, train: ImageSet) -> None:
    extractor = fit_extractor(model, train.subset(np.arange(60)))
    pictures = [Picture(train.image(i)) for i in range(120)]
    part = NormalRows(model, extractor, pictures).fit(Part("density", 0, "max", {}), np.arange(120), 0)
    height, width, _ = train.image(0).shape
    spotted = train.image(130).copy()
    spotted[: height // 4, : width // 4] = 255
    (result,) = map_pictures(model, extractor, part, [Picture(spotted)])
    heat = show_map(model, extractor, [part], Picture(spotted), result)
    assert heat.shape == (height, width)
    assert heat.max() == pytest.approx(result.score, rel=1e-5)
    assert heat[: height // 4, : width // 4].mean() > 2 * heat.mean()


def test_the_density_is_that_of_double_precision(model: Autoencoder, train: ImageSet) -> None:
    """A subspace that holds nearly all: |row|² − |inside|² would cancel in single precision."""
    from isthmus.features.anomaly_kinds import KINDS_OF_TILES

    basis = np.linalg.qr(RANDOM.normal(size=(12, 12)))[0]
    rows = 100 + RANDOM.normal(size=(80, 11)) @ basis[:11] + 1e-3 * RANDOM.normal(size=(80, 1)) * basis[11:]
    density = KINDS_OF_TILES["density"]
    tensors = density.fit(torch.from_numpy(rows.astype(np.float32)), 0)
    result = density.values(tensors, torch.from_numpy(rows.astype(np.float32)))[:, 0, 0]
    mean, axes, spread, outside = (
        tensors[name].double().numpy() for name in ("mean", "basis", "spread", "outside")
    )
    away = rows.astype(np.float32).astype(np.float64) - mean
    inside = away @ axes.T
    expected = ((inside / spread) ** 2).mean(1) + ((away - inside @ axes) ** 2).sum(1) / outside[0]
    np.testing.assert_allclose(result, expected, rtol=1e-9)
    del model, train


def test_tiles_put_together_are_the_picture() -> None:
    values = np.repeat(np.arange(12.0), 64).reshape(12, 8, 8)
    values[:] = 3.0
    np.testing.assert_allclose(assemble(values, (20, 16), 1, (8, 8)), 3.0)
    ramp = np.arange(15, dtype=np.float32).reshape(3, 5, 1) / 15
    np.testing.assert_allclose(
        shrink_pixels(ramp, 2)[..., 0],
        [
            [ramp[:2, :2].mean(), ramp[:2, 2:4].mean(), ramp[:2, 4:].mean()],
            [ramp[2:, :2].mean(), ramp[2:, 2:4].mean(), ramp[2:, 4:].mean()],
        ],
        rtol=1e-6,
    )


@pytest.mark.slow
def test_the_rate_holds_for_pictures_of_five_sizes(model: Autoencoder, train: ImageSet) -> None:
    extractor = fit_extractor(model, train.subset(np.arange(60)))
    sizes = [(24, 24), (24, 36), (32, 32), (36, 48), (48, 48)]
    pictures = [picture(i, *sizes[i % 5]) for i in range(100)]
    rows = NormalRows(model, extractor, pictures[:60])
    plan = make_plan([str(i) for i in range(60)], seed=0)
    parts, table = choose_parts(
        rows, [Candidate("local", 0), Candidate("local", 1)], plan, false_alarms=0.1, seed=0
    )
    detector = fit_to_pictures(rows, parts, plan, false_alarms=0.1, seed=0)
    assert set(table) == {"local", "local of tiles"} and parts[-1].tiles == 1
    scores = [entry.score for entry in map_with(model, extractor, detector, pictures[60:])]
    flagged = int((np.array(scores) > detector.threshold).sum())
    from scipy.stats import binom

    assert binom.ppf(0.005, 40, 0.1) <= flagged <= binom.ppf(0.995, 40, 0.1)
    planted = [Picture(plant_defect(entry.pixels, 12, seed=i)[0]) for i, entry in enumerate(pictures[60:])]
    results = [entry.score for entry in map_with(model, extractor, detector, planted)]
    assert (np.array(results) > detector.threshold).mean() >= 0.5
    power = power_from_facts(detector.facts["power"])
    assert [row.size_px for row in power] == [4, None]  # sizes that fit the smallest of them

    model = copy.deepcopy(model)  # other tests use it too
    store_detector(model, detector, extractor)
    again = read_detector(model)
    assert again is not None and again.threshold == detector.threshold
    assert power_from_facts(again.facts["power"]) == power
    scores_before = [entry.score for entry in map_with(model, extractor, again, pictures[60:])]
    np.testing.assert_allclose(scores_before, scores, rtol=1e-6)


class ScoresOfKinds(NormalRows):
    """Normal pictures of which the scores are given: by kind, as they are and with planted defects.

    Args:
        tail: of kind `density`, the score of one good picture in fifty.
    """

    def __init__(self, tail: float) -> None:
        self.pictures = [picture(0)] * 200
        self.seeds: set[int] = set()
        random = np.random.default_rng(3)
        kinds: tuple[Kind, ...] = ("neighbour", "density", "reconstruction")
        self.clean = {kind: random.normal(0, 1, 200) for kind in kinds}
        self.clean["density"][::50] = tail

    def expect(self, scores: Sequence[tuple[Kind, int]]) -> None:
        del scores

    def fit(self, part: Part, rows: Rows, seed: int) -> Part:
        del rows, seed
        return part

    def measure(self, parts: Sequence[Part], rows: Rows) -> Iterator[tuple[float, float]]:
        own = np.stack([self.clean[part.kind][rows] for part in parts])
        return ((score, score) for score in average_scores(parts, own))

    def score_planted(self, parts: Sequence[Part], rows: Rows, size: int | None, *, seed: int) -> Scores:
        del size
        self.seeds.add(seed)
        more = {"neighbour": 4.0, "density": 8.0, "reconstruction": 0.1}
        return np.stack([self.clean[part.kind][rows] % 1 + more[part.kind] for part in parts])


@pytest.mark.parametrize(
    ("tail", "kinds"),
    [(0.0, ["neighbour", "density"]), (60.0, ["neighbour"])],
)
def test_strong_scores_are_averaged_unless_one_alone_finds_clearly_more(
    tail: float, kinds: list[str]
) -> None:
    """The areas under the curve are near one in each case; the tail of good pictures decides."""
    rows = ScoresOfKinds(tail)
    plan = make_plan([str(i) for i in range(200)], seed=0)
    candidates = [Candidate(kind, 0) for kind in rows.clean]
    parts, table = choose_parts(rows, candidates, plan, false_alarms=0.01, seed=0)
    assert min(table["neighbour"], table["density"]) > 0.9 > table["reconstruction"]
    assert [part.kind for part in parts] == kinds
    detector = fit_to_pictures(rows, parts, plan, false_alarms=0.01, seed=0)
    chosen_by, measured_with = sorted(rows.seeds)
    assert chosen_by != measured_with  # power is that of other planted defects
    assert all(row.found == 1 for row in power_from_facts(detector.facts["power"]))


def test_scores_that_read_one_layer_use_the_network_once(
    model: Autoencoder, train: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []

    def count(network: Autoencoder, tiles: Tensor, layer: str) -> Tensor:
        passes.append(len(tiles))
        return activations(network, tiles, layer)

    pictures = [picture(i) for i in range(12)]
    extractor = fit_extractor(model, train.subset(np.arange(60)))
    kinds: tuple[Kind, ...] = ("density", "local", "neighbour")
    monkeypatch.setattr("isthmus.features.readout.activations", count)
    for tiles in (0, 1):
        rows = NormalRows(model, extractor, pictures)
        used = []
        for some in (kinds[:1], kinds):
            parts = [Part(kind, tiles, "max", {}) for kind in some]
            rows = NormalRows(model, extractor, pictures)
            rows.expect([(kind, tiles) for kind in some])
            fitted = [rows.fit(part, np.arange(8), 0) for part in parts]
            passes.clear()
            rows.score_planted(fitted, np.arange(8, 12), 8, seed=0)
            used.append(sum(passes))
        assert used[0] == used[1] > 0


def test_tiles_of_many_pictures_never_lie_in_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_maps, "MAX_ROW_BYTES", 64 * 100 * 4)
    rows = (torch.full((500, 100), float(i)) for i in range(20))
    part = picture_maps.fit_part("neighbour", 1, rows, 20)
    normal_features = part.tensors["normal"]
    assert (
        20 <= len(normal_features) <= 64 and len(normal_features[:, 0].unique()) == 20
    )  # some tiles of every picture


# ---------------------------------------------------------------- looks


@pytest.mark.parametrize("kind", ["reconstruction", "levels"])
def test_no_pass_holds_more_pixels_than_there_is_memory_for(
    model: Autoencoder, train: ImageSet, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """Whole pictures are read at their own size: large ones are made smaller, and few go together."""
    monkeypatch.setattr(picture_rows, "MAX_NETWORK_PIXELS", 1000)
    monkeypatch.setattr(picture_rows, "MAX_FLOAT_PIXELS", 1000)
    passes = []

    def read(row_kind: RowKind, layer: LayerReader, tiles: Tensor) -> Tensor:
        passes.append(tiles.shape[2] * tiles.shape[3] * len(tiles))
        return read_tiles(row_kind, layer, tiles)

    monkeypatch.setattr(picture_rows, "read_tiles", read)
    pictures = [picture(seed, 20, 30) for seed in range(7)] + [picture(8, 300, 200)]
    part = Part(kind, 0, "max", fit_levels(torch.rand(9, 2, 1, 30, 30), 0) if kind == "levels" else {})
    maps = list(map_pictures(model, fit_extractor(model, train), part, pictures))
    assert len(maps) == 8 and max(passes) <= 4 * 1000 and len(passes) >= 4


def test_near_copies_are_found_and_alike_pictures_are_not() -> None:
    coarse = RANDOM.integers(60, 200, (30, 10, 14), dtype=np.uint8)  # each its own pattern
    pictures = [Picture(pixels.repeat(4, 0).repeat(4, 1)[..., None]) for pixels in coarse]
    looks = [measure_look(pixels) for pixels in pictures]
    assert find_near_copies(looks) == []
    noisy = np.clip(pictures[4].pixels.astype(int) + RANDOM.integers(-2, 3, pictures[4].pixels.shape), 0, 255)
    looks.append(measure_look(Picture(noisy.astype(np.uint8))))
    assert find_near_copies(looks) == [(4, 30)]
    assert find_near_copies(looks[30:], looks[:30]) == [(0, 4)]
    assert find_near_copies([], looks[:30]) == find_near_copies(looks[:4], looks[5:30]) == []


def test_pictures_unlike_the_normal_ones_are_named_by_what_differs() -> None:
    facts = looks_to_facts([measure_look(picture(i)) for i in range(20)])
    assert list_differences(measure_look(picture(99)), facts) == []
    dark = Picture(picture(99).pixels // 3)
    assert "brightness" in list_differences(measure_look(dark), facts)
    assert list_differences(measure_look(picture(99, 90, 90)), facts) == ["size"]
    blurred = np.full((40, 56, 1), 140, np.uint8)
    assert list_differences(measure_look(Picture(blurred)), facts) == ["sharpness"]
    assert list_differences(measure_look(picture(1)), {"height": "x"}) == []


# ---------------------------------------------------------------- maps, masks, labels


def test_marked_regions_have_boxes_and_ignored_pixels_none() -> None:
    heat = np.zeros((30, 40))
    heat[5:9, 10:16] = 5
    heat[20:22, 30:33] = 4
    marked = mark_pixels(heat, (30, 40, 1), 3.0, None)
    assert find_boxes(marked) == ((5, 10, 4, 6), (20, 30, 2, 3))
    ignored = np.zeros((30, 40), dtype=bool)
    ignored[:15] = True
    assert find_boxes(mark_pixels(heat, (30, 40, 1), 3.0, ignored)) == ((20, 30, 2, 3),)
    assert find_boxes(mark_pixels(heat, (30, 40, 1), 99.0, None)) == ((5, 10, 4, 6), (20, 30, 2, 3))
    assert not mark_pixels(np.ones((1, 1)), (30, 40, 1), 0.5, None).any()


def test_measures_of_labels_are_those_of_scikit_learn() -> None:
    truth = RANDOM.random(200) < 0.3
    scores = np.round(RANDOM.normal(size=200) + truth, 1)  # with ties
    assert measure_auroc(scores[~truth], scores[truth]) == pytest.approx(roc_auc_score(truth, scores))
    assert average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores))
    result = measure_labels(truth, scores, scores > 1, ("good",))
    assert result is not None
    assert result.found + result.missed == truth.sum() == result.defective
    assert result.false_alarms == int((~truth & (scores > 1)).sum())
    assert measure_labels(truth[truth], scores[truth], scores[truth] > 1, ("good",)) is None


@pytest.mark.parametrize(
    ("classes", "good"),
    [
        (("good", "scratch", "stain"), ("good",)),
        (("OK", "NG"), ("OK",)),
        (("bad", "parts"), ("parts",)),
        (("0", "1", "2"), ()),
        (("good",), ()),
    ],
)
def test_good_classes_are_known_by_their_names(classes: tuple[str, ...], good: tuple[str, ...]) -> None:
    assert list_good_classes(classes) == good


def test_measures_of_masks_are_those_of_all_pixels() -> None:
    comparison, truths, heats = MaskComparison(), [], []
    for seed in range(12):
        random = np.random.default_rng(seed)
        truth = np.zeros((40, 50), dtype=bool)
        truth[5:15, 8 + seed : 20 + seed] = seed % 3 > 0
        heat = (random.normal(size=truth.shape) + 1.5 * truth).astype(np.float32)
        comparison.add(heat, truth, heat > 3)
        truths.append(truth.ravel())
        heats.append(heat.ravel())
    result = comparison.result()
    assert result is not None and result.pictures == 12 and result.regions == 8
    expected = roc_auc_score(np.concatenate(truths), np.concatenate(heats))
    assert result.pixel_auroc == pytest.approx(expected, abs=2e-3)
    assert 0.3 < result.pro < expected
    perfect = MaskComparison()
    perfect.add(
        truths[1].reshape(40, 50).astype(np.float32), truths[1].reshape(40, 50), truths[1].reshape(40, 50)
    )
    best = perfect.result()
    assert best is not None and best.pro == pytest.approx(1, abs=1e-3) and best.touched == 1
