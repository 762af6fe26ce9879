"""The speed benchmarks compare like with like, and their verdicts follow from their numbers."""

from __future__ import annotations

import pytest
import torch
from scripts import load_script
from torch import nn

from isthmus.model.autoencoder import build

points, networks = load_script("benchmarks/speed/points.py"), load_script("benchmarks/peers/networks.py")
tables = load_script("benchmarks/speed/tables.py")
quality = load_script("benchmarks/speed/quality_table.py")


@pytest.mark.parametrize("name", list(points.NETWORKS))
def test_peers_have_the_layers_of_the_recipe(name: str) -> None:
    point = points.NETWORKS[name]
    shape = (1, 28, 28) if point.images == "gray" else (3, 32, 32)
    ours = build(point.recipe, channels=shape[0], size=shape[1:])
    peer = nn.Sequential(*networks.build(name))
    assert peer(torch.rand(2, *shape)).shape == (2, *shape)
    used = sum(p.numel() for p in ours.parameters()) - point.unused
    assert used == networks.parameters(peer)

    def kernels(model: nn.Module) -> list[tuple[int, ...]]:
        return sorted(tuple(p.shape) for p in model.parameters() if p.ndim >= 2)

    assert kernels(ours) == kernels(peer)


def test_a_verdict_is_the_ratio_of_medians_against_its_target() -> None:
    turns = [{"images": 100, "busy": s, "seconds": 2 * s} for s in (1.0, 0.5, 0.25)]
    assert tables.rate(turns, "busy") == {"median": 200.0, "low": 100.0, "high": 400.0}
    rates = {
        "Isthmus": tables.rate(turns, "busy"),
        "PyTorch": {"median": 50.0, "low": 40.0, "high": 60.0},
        "Keras mixed_bfloat16": {"median": 180.0, "low": 170.0, "high": 190.0},
    }
    row = {
        "rates": rates,
        "loss": {"float32": 1.0, "bfloat16": 1.004},
        "inference": {"encode": {"Isthmus": 30.0, "PyTorch": 20.0}},
    }
    results = {"networks": {"conv": row}, "limit": {"share": 0.79}}
    verdicts = {
        line["what"]: (round(line["reached"], 3), line["passed"]) for line in tables.verdicts(results)
    }
    assert verdicts == {
        "conv: training against PyTorch": (4.0, True),
        "conv: training against Keras mixed_bfloat16": (1.111, False),
        "conv: validation loss of bfloat16 above float32's": (0.004, True),
        "conv: encode against PyTorch": (1.5, False),
        "conv: share of the limit of its own layers": (0.79, False),
    }
    assert "| conv | 200 (100 to 400) | 50 (40 to 60), 4.00× |" in tables.training_table(results)
    assert "0.79" not in tables.verdict_table(tables.verdicts(results))
    assert "| 79 % | 80 % | falls short |" in tables.verdict_table(tables.verdicts(results))


def test_who_never_gets_there_is_a_lower_bound() -> None:
    ours = {"seconds": 10.0, "reached": True, "best": 0.09, "target": 0.094}
    peer = {"seconds": 150.0, "reached": False, "best": 0.11, "target": 0.094}
    rows = quality.table({"bce-128": {"Isthmus": ours, "Keras": peer, "pythae": peer | {"seconds": 250.0}}})
    assert "| Keras | ≥ 150.0 | .1100 | ≥ 15.0× | not decided: stopped before |" in rows
    assert "| pythae | ≥ 250.0 | .1100 | ≥ 25.0× | reached |" in rows
