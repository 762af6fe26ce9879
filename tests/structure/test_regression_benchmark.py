"""The stored numbers of version 0.1 are whole, and the comparison finds what differs from them."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from scripts import ROOT, load_script

BENCHMARKS = ROOT / "benchmarks"
RESULTS = BENCHMARKS / "results" / "0.1"
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def regression() -> ModuleType:
    """benchmarks/regression.py, which imports its neighbours by their names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return load_script("benchmarks/regression.py")


def stored(seed: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / f"seed-{seed}.json").read_text("utf-8"))
    return document


def test_every_claim_row_and_article_part_is_stored_for_three_seeds(regression: ModuleType) -> None:
    expected = {f"claims/{name}" for name in regression.claims.CLAIMS}
    expected |= {f"quality/{row.name}" for row in regression.quality.ROWS}
    for seed in SEEDS:
        document = stored(seed)
        assert document["complete"]
        assert document["versions"]["isthmus"] == "0.1.0"
        assert document["protocol"] == stored(0)["protocol"]
        assert expected <= set(document["seconds"])
        parts = {name.split("/")[1] for name in document["seconds"] if name.startswith("articles/")}
        assert parts == {
            "000",
            "001",
            "002",
            "003",
            "004",
            "kinds",
            "generative",
            "positions",
            "overfitting",
            "depth",
        }
        assert set(document["numbers"]) == set(stored(0)["numbers"])


def test_results_agree_with_themselves(regression: ModuleType) -> None:
    numbers = regression.read_numbers(RESULTS)
    assert set(numbers) == set(SEEDS)
    differences = regression.compare(numbers, numbers)
    assert len(differences) > 500
    assert not any(difference.outside for difference in differences)


def test_a_mean_outside_of_two_standard_errors_is_found(regression: ModuleType) -> None:
    before = {0: {"a": 1.0, "b": 5.0}, 1: {"a": 2.0, "b": 5.0}, 2: {"a": 3.0, "b": 5.0}}  # s. e. of a: 0.577
    for shift, outside in ((1.1, False), (1.2, True), (-1.2, True)):
        after = {seed: {"a": row["a"] + shift, "b": row["b"]} for seed, row in before.items()}
        results = {difference.name: difference.outside for difference in regression.compare(before, after)}
        assert results == {"a": outside, "b": False}
    # Where the seeds agree exactly, only rounding is allowed.
    after = {seed: {**row, "b": 5.01} for seed, row in before.items()}
    assert {difference.name: difference.outside for difference in regression.compare(before, after)}["b"]


def test_a_number_that_is_gone_counts_as_outside(regression: ModuleType) -> None:
    before = {0: {"a": 1.0}, 1: {"a": 2.0}}
    (result,) = regression.compare(before, {0: {}, 1: {}})
    assert result.outside
