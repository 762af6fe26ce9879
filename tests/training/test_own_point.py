"""A bottleneck of one's own, one class and one module outside the package, has every use that it states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch.distributed as dist

import isthmus
from isthmus.errors import CapabilityError, UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.axes import AXES
from isthmus.model.image_terms import IMAGE_TERMS, ImageTerm, register_image_term
from isthmus.model.recipe import Recipe

from .cases import pictures

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("bottleneck=soft", "code=6", "backbone.width=16", "optimiser.batch=8")
# Settings are free of torch, so the network has a module of its own.
SETTINGS_MODULE = '''
from dataclasses import dataclass
from typing import ClassVar

from isthmus.model import axes
from isthmus.model.setting import setting


@dataclass(frozen=True, kw_only=True)
class Soft(axes.Bottleneck):
    """Numbers nearer to zero than `width` become 0, the others come nearer by it."""

    kind: ClassVar[str] = "soft"
    network = "own_network:SoftThreshold"
    may_distribute = may_export = draws_per_image = is_sparse = True
    width: float = setting(0.1, "numbers below it become 0", low=0.0)


@dataclass(frozen=True, kw_only=True)
class Silent(axes.Bottleneck):
    """The same network by an author who states nothing."""

    kind: ClassVar[str] = "silent"
    network = "own_network:SoftThreshold"
    width: float = setting(0.1, "numbers below it become 0", low=0.0)


@dataclass(frozen=True, kw_only=True)
class Private(Soft):
    kind: ClassVar[str] = "soft-private"
    may_be_private = True
'''
NETWORK_MODULE = """
import torch.nn.functional as F

from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.trace import Latent


class SoftThreshold(Bottleneck):
    def __init__(self, settings):
        super().__init__()
        self.width = settings.width

    def forward(self, h, generator, sample):
        return Latent(F.softshrink(h, self.width))


def fourth_power(trace):
    return (trace.output - trace.corrupted.target).pow(4).flatten(1).mean(1)
"""
TOGETHER = """
import json
import os
import sys
from pathlib import Path

import isthmus
import own_settings
from isthmus.errors import CapabilityError
from isthmus.model.image_terms import IMAGE_TERMS, ImageTerm, register_image_term
from isthmus.model.recipe import Recipe
from tests.training.cases import pictures

folder = Path(sys.argv[1])
recipe = isthmus.recipe("dense").with_settings(sys.argv[2:])
isthmus.train(pictures(), recipe=recipe, steps=4, precision="float32", out=folder / "together.safetensors")
try:
    silent = recipe.with_settings(["bottleneck=silent"])
    isthmus.train(pictures(), recipe=silent, steps=4, precision="float32")
    refused = ""
except CapabilityError as error:
    refused = error.message
except SystemExit:
    refused = "elsewhere"
(folder / f"refused-{os.environ['RANK']}.json").write_text(json.dumps(refused))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("own")
    (place / "own_settings.py").write_text(SETTINGS_MODULE)
    (place / "own_network.py").write_text(NETWORK_MODULE)
    (place / "own_together.py").write_text(TOGETHER)
    registered = AXES["bottleneck"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.setitem(AXES, "bottleneck", registered)  # the others' tests go over all points
        import_module("own_settings")
        assert [point.kind for point in AXES["bottleneck"][len(registered) :]] == [
            "soft",
            "silent",
            "soft-private",
        ]
        yield place


def recipe(*settings: str) -> Recipe:
    return isthmus.recipe("dense").with_settings([*SETTINGS, *settings])


@pytest.fixture(scope="module")
def model(folder: Path) -> Autoencoder:
    out = folder / "soft.safetensors"
    isthmus.train(pictures(), recipe=recipe(), steps=60, precision="float32", out=out)
    return isthmus.load(out)


def test_it_is_evaluated_as_the_sparse_code_that_it_states(model: Autoencoder) -> None:
    evaluation = isthmus.evaluate(model, pictures(20, seed=1), reference=pictures()).to_dict()
    assert 0 < evaluation["metrics"]["nonzero"] <= 6
    assert evaluation["metrics"]["mse"] < evaluation["baselines"]["mean_image"]["mse"]


def test_it_is_explained(model: Autoencoder) -> None:
    explanation = isthmus.explain(model, pictures(1, seed=1)[0], reference=pictures(20), units=2)
    assert len(explanation.units) == 2 and explanation.atlas.shape == (2, 12, 12, 1)
    assert all(0 < unit.active <= 1 for unit in explanation.units)  # how often it is not 0


@pytest.mark.usefixtures("folder")
def test_it_is_examined() -> None:
    wide = isthmus.train(pictures(), recipe=recipe("bottleneck.width=50"), steps=4, precision="float32")
    names = [finding.name for finding in isthmus.diagnose(wide, pictures(30)).findings]
    assert "dead-units" in names  # every number is below the width: no hint of its own, so the rate's


@pytest.mark.usefixtures("folder")
def test_it_is_trained_privately_only_where_it_says_so() -> None:
    pytest.importorskip("opacus")
    how: dict[str, Any] = {"private": 4.0, "noise_seed": 1, "steps": 4}
    with pytest.raises(CapabilityError, match="cannot train privately: bottleneck 'soft' does not declare"):
        isthmus.train(pictures(48), recipe=recipe(), **how)
    trained = isthmus.train(pictures(48), recipe=recipe("bottleneck=soft-private"), **how)
    assert trained.summary["privacy"]["epsilon"] <= 4


def test_it_is_exported_only_where_it_says_so(model: Autoencoder, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert [part.part for part in isthmus.export_onnx(model, tmp_path / "soft.onnx").files] == [
        "encoder",
        "decoder",
    ]
    silent = isthmus.train(pictures(), recipe=recipe("bottleneck=silent"), steps=1, precision="float32")
    with pytest.raises(CapabilityError, match="bottleneck 'silent' does not declare"):
        isthmus.export_onnx(silent, tmp_path / "silent.onnx")


@pytest.fixture
def fourth(folder: Path) -> Iterator[str]:  # noqa: ARG001
    """An image term from outside, that states nothing of how it judges a batch."""
    register_image_term(ImageTerm(name="fourth", measure="own_network:fourth_power"))
    yield "fourth"
    del IMAGE_TERMS["fourth"]


def test_an_image_term_is_one_registration(fourth: str) -> None:
    asked = recipe("bottleneck=plain", f"objective.image=mse+0.5*{fourth}")
    trained = isthmus.train(pictures(), recipe=asked, steps=4, precision="float32")
    assert {"train_mse", "train_fourth", "validation_fourth"} <= set(trained.summary["history"][-1])
    assert not asked.objective.has_likelihood
    pytest.importorskip("opacus")
    with pytest.raises(CapabilityError, match="image term 'fourth' does not declare"):
        isthmus.train(pictures(48), recipe=asked, private=4.0, steps=4)


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform == "win32" or not dist.is_available() or not dist.is_gloo_available(), reason="needs gloo"
)
def test_two_processes_train_it_only_where_it_says_so(folder: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "OMP_NUM_THREADS": "1",
        "ISTHMUS_CACHE": str(folder / "cache"),
    }
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "own_together"]
    settings = [*SETTINGS, "optimiser.name=sgd", "optimiser.rate=0.05"]
    run = subprocess.run(
        [sys.executable, *words, str(folder), *settings],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    alone = isthmus.train(
        pictures(), recipe=isthmus.recipe("dense").with_settings(settings), steps=4, precision="float32"
    )
    together = isthmus.load(folder / "together.safetensors")
    for name, tensor in alone.state_dict().items():
        assert float((tensor - together.state_dict()[name]).abs().max()) < 1e-5, name
    refused = json.loads((folder / "refused-0.json").read_text())
    assert "cannot train in several processes: bottleneck 'silent' does not declare" in refused


@pytest.mark.usefixtures("folder")
def test_a_kind_belongs_to_one_class_and_facts_have_their_type() -> None:
    registered = AXES["bottleneck"]
    own: ModuleType = sys.modules["own_settings"]
    with pytest.raises(UsageError, match="bottleneck 'l1' exists already"):
        type("Mine", (own.Soft,), {"kind": "l1"})
    with pytest.raises(UsageError, match="is_sparse is 'yes': expected bool"):
        type("Mine", (own.Soft,), {"kind": "mine", "is_sparse": "yes"})
    with pytest.raises(UsageError, match="expected 'module:name'"):
        type("Mine", (own.Soft,), {"kind": "mine", "network": "own_network"})
    assert AXES["bottleneck"] == registered
    with pytest.raises(UsageError, match="bottleneck 'astray' has no network 'nowhere:Net'"):
        astray = type("Astray", (own.Soft,), {"kind": "astray", "network": "nowhere:Net"})
        isthmus.train(pictures(), recipe=recipe(f"bottleneck={astray.kind}"), steps=1)  # type: ignore[attr-defined]
