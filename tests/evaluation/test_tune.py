"""Every trial sees the same folds, an interrupted search goes on, and the front is what nothing beats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.api import tuning
from isthmus.api.tuning import tune
from isthmus.api.tuning_results import TrialResult, TuningResult
from isthmus.errors import DataError, UsageError
from isthmus.evaluation.selection.objectives import split_folds as split_folds
from isthmus.evaluation.selection.space import Axis, iter_grid, iter_random, parse_axis
from isthmus.images.store import ImageSet

QUICK: dict[str, Any] = {
    "recipe": "dense",
    "code": "2",
    "settings": ["backbone.width=8"],
    "steps": 3,
}


@pytest.fixture(scope="module")
def images() -> ImageSet:
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = (random.random((40, 6, 6, 1)) * 100 + 100 * labels[:, None, None, None]).astype(np.uint8)
    return ImageSet(pixels, tuple(map(str, range(40))), labels, ("dark", "bright"), source="squares")


def test_folds_keep_copies_together_and_classes_even(images: ImageSet) -> None:
    doubled = images.subset([*range(40), *range(10)])
    parts = split_folds(doubled, 4)
    assert sorted(np.concatenate([test for _, test in parts]).tolist()) == list(range(50))
    for train, test in parts:
        assert not set(train) & set(test)
        assert not set(doubled.hashes()[train]) & set(doubled.hashes()[test])
        assert doubled.labels is not None and 0.3 < doubled.labels[test].mean() < 0.7
    with pytest.raises(DataError, match="too few"):
        split_folds(images.subset([1, 1, 2]), 3)


def test_axes_are_read() -> None:
    assert parse_axis("bottleneck.k=8, 16,8").values == ("8", "16")
    assert parse_axis("backbone.width=64,32;16").values == ("64,32", "16")
    rate = parse_axis("optimiser.rate=1e-4..1e-2")
    assert rate == Axis("optimiser.rate", (), 1e-4, 1e-2) and rate.logarithmic
    assert parse_axis("bottleneck.k=4..9").is_whole
    for wrong in ("k", "k=", "k=1..", "k=5..2", "k=a..b"):
        with pytest.raises(UsageError):
            parse_axis(wrong)


def test_points() -> None:
    two = [Axis("a", ("1", "2")), Axis("b", ("x", "y"))]
    assert list(iter_grid(two)) == [{"a": a, "b": b} for a in "12" for b in "xy"]
    assert len(list(iter_random(two, 9, 0))) == 4
    drawn = [float(p["r"]) for p in iter_random([Axis("r", (), 1e-4, 1e-2)], 200, 0)]
    assert all(1e-4 <= value <= 1e-2 for value in drawn) and 0.3 < np.mean(np.array(drawn) < 1e-3) < 0.7
    with pytest.raises(UsageError, match="is a range"):
        list(iter_grid([Axis("r", (), 0.0, 1.0)]))


def test_a_grid_is_searched_and_ranked(images: ImageSet, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = tune(images, ["code=1,3"], folds=2, objectives=["reconstruction", "probe"], log=log, **QUICK)
    assert result.complete and {t.settings["code"] for t in result.trials} == {"1", "3"}
    assert all(len(t.scores["mse"]) == 2 and set(t.scores) == {"mse", "probe"} for t in result.trials)
    means = [np.mean(t.scores["mse"]) for t in result.trials]
    assert means == sorted(means)
    assert all(0.4 <= p <= 1 for t in result.trials for p in t.scores["probe"])
    assert len(log.read_text().splitlines()) == 3
    assert "<h2>Trials</h2>" in result.page() and "<h2>Front</h2>" in result.page()


def test_an_interrupted_search_goes_on(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    trained: list[int] = []
    from isthmus.api.trial_training import train_trial

    def counted(*args: Any, **options: Any) -> Any:
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(1)
        return train_trial(*args, **options)

    monkeypatch.setattr(tuning, "train_trial", counted)
    part = tune(images, ["code=1,3"], folds=2, log=log, **QUICK)
    assert not part.complete and [t.state for t in part.trials] == ["done", "running"]
    assert part.interruption == f"interrupted: 3 of 4 trainings done; the same call goes on from {log}"
    trained.clear()
    again = tune(images, ["code=1,3"], folds=2, log=log, **QUICK)
    assert len(trained) == 1 and again.complete
    monkeypatch.undo()
    once = tune(images, ["code=1,3"], folds=2, **QUICK)
    assert [t.scores for t in once.trials] == [t.scores for t in again.trials]
    more = tune(images, ["code=1,3,4"], folds=2, log=log, **QUICK)
    assert len(more.trials) == 3 and set(map(str, again.trials)) < set(map(str, more.trials))


def test_another_search_does_not_go_on_there(images: ImageSet, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    tune(images, ["code=1"], folds=2, log=log, **QUICK)
    with pytest.raises(UsageError, match="seed differ"):
        tune(images, ["code=1"], folds=2, log=log, seed=1, **QUICK)
    log.write_text("no log\n")
    with pytest.raises(DataError, match="not the log"):
        tune(images, ["code=1"], folds=2, log=log, **QUICK)
    assert tune(images, ["code=1"], folds=2, log=log, force=True, **QUICK).complete


def test_the_time_may_be_up(images: ImageSet) -> None:
    result = tune(images, ["code=1,2"], folds=2, budget=1e-9, **QUICK)
    assert not result.complete and not any(t.state == "done" for t in result.trials) and result.best is None


def test_what_cannot_work_is_a_trial_that_failed(images: ImageSet) -> None:
    result = tune(images, ["critic=none,on-codes", "code=2@2,2"], folds=2, **QUICK)
    failed = [t for t in result.trials if t.state == "failed"]
    assert failed and all(t.why for t in failed)
    assert {t["state"] for t in result.to_dict()["trials"]} == {"done", "failed"}


def test_wrong_requests_are_refused_before_anything_is_trained(images: ImageSet) -> None:
    for over, more in (
        ([], {}),
        (["backbone.wdth=3"], {}),
        (["backbone.width=no"], {}),
        (["code=1", "code=2"], {}),
        (["code=1"], {"objectives": ["mse", "psnr", "ssim"]}),
        (["code=1"], {"objectives": ["quality"]}),
        (["code=1"], {"search": "luck"}),
    ):
        with pytest.raises(UsageError):
            tune(images, over, folds=2, **{**QUICK, **more})


def test_an_objective_that_a_recipe_lacks_is_called_as_it_was_asked_for(images: ImageSet) -> None:
    with pytest.raises(UsageError, match=r"no objective 'rate'; it has (?!.*rate)"):
        tune(images, ["code=2"], folds=2, objectives=["rate"], **QUICK)


def test_labels_are_not_probed_for_in_codes_of_different_lengths(tmp_path: Path) -> None:
    for i in range(8):
        folder = tmp_path / ("a" if i % 2 else "b")
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8 + 4 * (i // 4), 8), 20 * i, np.uint8)).save(folder / f"{i}.png")
    grid = {**QUICK, "recipe": "conv", "code": "2@4", "settings": ["backbone.width=4"]}
    with pytest.raises(DataError, match="different sizes"):
        tune(tmp_path, ["optimiser.rate=0.001"], folds=2, objectives=["probe"], **grid)


def test_the_front_is_what_nothing_beats() -> None:
    values = {"a": (1.0, 0.5), "b": (2.0, 0.9), "c": (2.0, 0.6), "d": (3.0, 0.95), "e": (1.5, 0.5)}
    trials = tuple(
        TrialResult({"x": name}, "done", "", 1.0, {"mse": (m, m), "probe": (p, p)}, {"mse": m, "probe": p})
        for name, (m, p) in values.items()
    )
    result = TuningResult(
        recipe="dense",
        data="squares",
        images=9,
        folds=2,
        objectives=("mse", "probe"),
        complete=True,
        seconds=1.0,
        trials=trials,
    )
    assert [point["x"] for point in result.front] == ["a", "b", "d"]


def test_optuna_learns_prunes_and_goes_on(images: ImageSet, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra 'tune'")
    log = tmp_path / "log.jsonl"
    asked = {"folds": 2, "search": "optuna", "log": log, **QUICK, "steps": 1}
    over = ["optimiser.rate=1e-4..1e-1", "code=1,2"]
    first = tune(images, over, trials=5, **asked)
    assert len(first.trials) == 5 and {t.state for t in first.trials} <= {"done", "pruned"}
    both = tune(images, over, trials=9, **asked)
    assert len(both.trials) == 9 and set(map(str, first.trials)) < set(map(str, both.trials))
    assert any(t.state == "pruned" and len(t.scores["mse"]) == 1 for t in both.trials)
    assert all(1e-4 <= float(t.settings["optimiser.rate"]) <= 1e-1 for t in both.trials)
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 10
