"""The steps of CONTRIBUTING.md work: its bottleneck trains and its metric is measured."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from scripts import ROOT

import isthmus
from isthmus.metrics import pixel_metrics, registry
from isthmus.model import axes
from isthmus.model.axes import AXES, bottleneck

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def code_blocks(section: str) -> list[str]:
    """The Python blocks of one section, without the indentation of the list that they belong to."""
    part = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [
        textwrap.dedent(block)
        for block in re.findall(r"^ *```py\n(.*?)^ *```$", part, re.MULTILINE | re.DOTALL)
    ]


def images(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.random((count, 8, 8, 1)).round().astype(np.float32)


@pytest.fixture
def soft() -> Iterator[None]:
    settings, network = code_blocks("Add a bottleneck")
    registered = AXES["bottleneck"]
    module = ModuleType("isthmus.model.bottlenecks.soft")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AXES, "bottleneck", registered)
        namespace = dict(vars(bottleneck))
        exec(compile(settings, "CONTRIBUTING.md", "exec"), namespace)
        patch.setattr(axes, "Soft", namespace["Soft"], raising=False)
        exec(compile(network, "CONTRIBUTING.md", "exec"), vars(module))
        patch.setitem(sys.modules, module.__name__, module)
        yield


@pytest.mark.usefixtures("soft")
def test_the_bottleneck_trains_and_makes_zeros() -> None:
    settings = ["bottleneck=soft", "bottleneck.width=0.2", "code=6", "backbone.width=16"]
    recipe = isthmus.recipe("dense").with_settings(settings)
    model = isthmus.train(images(40), recipe=recipe, steps=20, precision="float32")
    code = np.asarray(model.encode(images(20, seed=1)))
    assert 0 < np.count_nonzero(code) < code.size
    assert (
        isthmus.evaluate(model, images(20, seed=1), reference=images(40)).to_dict()["metrics"]["nonzero"] < 6
    )


def test_the_metric_is_measured() -> None:
    function, entry = code_blocks("Add a metric")
    registered = dict(registry.METRICS)
    with pytest.MonkeyPatch.context() as patch:
        namespace = dict(vars(pixel_metrics))
        exec(compile(function, "CONTRIBUTING.md", "exec"), namespace)
        patch.setattr(pixel_metrics, "worst_pixel", namespace["worst_pixel"], raising=False)
        (metric,) = eval(entry, dict(vars(registry)))
        registry.register_metric(metric)
        try:
            model = isthmus.train(images(40), recipe="dense", code="4", steps=4)
            result = isthmus.evaluate(model, images(20, seed=1), reference=images(40))
        finally:
            registry.METRICS.clear()
            registry.METRICS.update(registered)
    expected = np.abs(model.reconstruct(images(20, seed=1)) - images(20, seed=1)).max((1, 2, 3))
    assert result.to_dict()["metrics"]["worst_pixel"] == pytest.approx(expected.mean(), abs=1e-3)


def test_what_is_named_exists() -> None:
    for name in set(re.findall(r"`((?:isthmus|tests|docs|benchmarks|tools)/[\w./-]+)`", TEXT)):
        if "soft" not in name:
            assert (ROOT / name).exists(), name
