"""The attack's area is that of an independent implementation, and its interval is honest."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from isthmus.api.evaluation import evaluate
from isthmus.errors import DataError
from isthmus.evaluation.privacy import measure_membership
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

from .models import discs


def test_the_area_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    members, others = random.normal(0, 1, 200).round(1), random.normal(0.5, 1.3, 150).round(1)
    result = measure_membership(members, others)
    expected = roc_auc_score(np.r_[np.ones(200), np.zeros(150)], -np.r_[members, others])
    assert result.auroc == pytest.approx(expected, abs=1e-12) and result.leaks
    assert 0 <= result.found_at_1_percent <= result.advantage + 0.01


def test_the_interval_holds_the_truth() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        result = measure_membership(random.normal(0, 1, 60), random.normal(0, 1, 80))
        held += result.low <= 0.5 <= result.high
    assert 0.92 <= held / 400 <= 0.98


def test_nothing_and_everything_given_away() -> None:
    same = np.linspace(0, 1, 50)
    nothing = measure_membership(same, same)
    assert nothing.auroc == pytest.approx(0.5) and not nothing.leaks and nothing.advantage == pytest.approx(0)
    everything = measure_membership(same, same + 2)
    assert (everything.auroc, everything.advantage, everything.found_at_1_percent) == (1, 1, 1)
    with pytest.raises(DataError, match="too few"):
        measure_membership(same[:5], same)


def test_a_model_that_learned_by_heart_is_found_out() -> None:
    random = np.random.default_rng(0)
    noise = (random.random((80, 8, 8)) * 255).astype(np.uint8)
    config = TrainConfig(steps=150, validation=0.0, patience=0, precision="float32")
    model = train_model(noise[:40], config, recipe="dense", code="40", settings={"backbone.width": "64"})
    result = evaluate(model, noise[40:], reference=noise[:40], privacy=True)
    assert result.privacy is not None and result.privacy.auroc > 0.9 and result.privacy.leaks
    assert evaluate(model, noise[40:], reference=noise[:40]).privacy is None
    with pytest.raises(DataError, match="were not found"):
        evaluate(model, discs(12)[:, :8, :8], privacy=True)
