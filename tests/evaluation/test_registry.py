"""A metric is one registration: measured, shown, written and sought wherever metrics are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import isthmus
from isthmus.errors import UsageError
from isthmus.metrics.registry import METRICS, Metric, OutputBatch, label, register_metric

from .models import discs, trained

DOCS = Path(__file__).parents[2] / "docs"


def hits(batch: OutputBatch) -> Tensor:
    """Share of pixels that are right to within a tenth."""
    return ((batch.output - batch.target).abs() < 0.1).float().flatten(1).mean(1)


def code_norm(batch: OutputBatch) -> Tensor:
    assert batch.code is not None
    return batch.code.flatten(1).square().sum(1).sqrt()


@pytest.fixture
def own() -> Iterator[None]:
    metrics_before = dict(METRICS)
    register_metric(
        Metric(name="hits", label="pixels hit", better="higher", compute=hits, in_short=True, objective="aim")
    )
    register_metric(
        Metric(name="norm", label="‖z‖", compute=code_norm, applies=lambda batch: batch.code is not None)
    )
    yield
    METRICS.clear()
    METRICS.update(metrics_before)


@pytest.mark.usefixtures("own")
def test_a_metric_is_in_json_baselines_and_the_page() -> None:
    result = isthmus.evaluate(trained(discs(40), "dense", code="4"), discs(20, seed=1), reference=discs(40))
    document = result.to_dict()
    assert 0 < document["metrics"]["hits"] <= 1
    assert set(document["baselines"]["mean_image"]) & {"hits", "norm"} == {"hits"}  # a mean image has no code
    assert document["metrics"]["norm"] > 0
    assert result.scores["hits"].shape == (20,)
    header, rows = result.rows()
    row = next(row for row in rows if row[0] == "pixels hit")
    assert dict(zip(header, row, strict=True))["model"] == document["metrics"]["hits"]


@pytest.mark.usefixtures("own")
def test_a_metric_is_a_column_of_compare_and_an_objective_of_tune() -> None:
    how: dict[str, Any] = {"settings": ["backbone.width=8"], "steps": 3}
    compared = isthmus.compare(discs(60), ["dense"], code="4", **how)
    header, rows = compared.rows()
    assert header[-1] == "pixels hit" and all(len(row) == len(header) for row in rows)
    assert compared.to_dict()["contenders"][0]["metrics"]["hits"]["mean"] > 0
    result = isthmus.tune(discs(40), ["code=1,4"], recipe="dense", objectives=["aim"], folds=2, **how)
    assert result.objectives == ("hits",)
    means = [trial.means["hits"] for trial in result.trials]
    assert means == sorted(means, reverse=True)  # its own direction


def test_a_name_belongs_to_one_metric() -> None:
    for name, word in (("psnr", ""), ("rate", ""), ("mine", "mse")):
        with pytest.raises(UsageError, match="exists already"):
            register_metric(Metric(name=name, label="again", objective=word))
    assert label("nobody_knows") == "nobody_knows"


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("numbers", "probe")])
def test_the_page_of_metrics_names_every_one(name: str) -> None:
    assert f"`{name}`" in (DOCS / "reference" / "metrics.md").read_text("utf-8")
