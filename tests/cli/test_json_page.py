"""docs/reference/json/ names every schema and every key that a command really prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from compatibility.checks import key_paths
from scripts import load_script

from isthmus.__main__ import main
from isthmus.generation.directions import CodeDirection

from .conftest import QUICK

ROOT = Path(__file__).parents[2]
PINNED: dict[str, str] = json.loads((ROOT / "tests" / "compatibility" / "json_keys.json").read_text("utf-8"))
SCHEMA = re.compile(r"isthmus\.[a-z-]+/[0-9]+")

CODEC = str(ROOT / "tests" / "codec" / "golden" / "model.safetensors")
PICTURE = str(ROOT / "tests" / "codec" / "golden" / "tagged.isth")
LEFT, RIGHT = "photos/left/1.png", "photos/right/0.png"
TRAIN = ["train", "photos", *QUICK]
RUNS = {
    "isthmus.train/1": [*TRAIN, "-o", "m.safetensors"],
    "isthmus.dry-run/1": [*TRAIN, "--dry-run"],
    "isthmus.recipes/1": ["recipes"],
    "isthmus.recipe/1": ["recipes", "sparse"],
    "isthmus.info/1": ["info", "photos.safetensors"],
    "isthmus.evaluate/1": ["evaluate", "photos.safetensors", "photos"],
    "isthmus.compare/1": ["compare", "photos", "--recipes", "dense", "--steps", "3", "--code", "4"],
    "isthmus.reconstruct/1": ["reconstruct", "photos.safetensors", "photos", "-o", "out"],
    "isthmus.denoise/1": ["denoise", "photos", "-o", "out", "--sigma", "10"],
    "isthmus.inpaint/1": ["inpaint", "photos", "--mask-colour", "#141414", "-o", "out"],
    "isthmus.models/1": ["models"],
    "isthmus.compress/1": ["compress", "photos", "-o", "small", "--model", CODEC],
    "isthmus.decompress/1": ["decompress", PICTURE, "-o", "again", "--model", CODEC],
    "isthmus.verify/1": ["verify", PICTURE],
    "isthmus.file/1": ["info", PICTURE],
    "isthmus.prior/1": ["prior", "photos.safetensors", "photos", "--kind", "gaussian"],
    "isthmus.generate/1": ["generate", "photos.safetensors", "-n", "4", "-o", "new.png"],
    "isthmus.interpolate/1": ["interpolate", "photos.safetensors", LEFT, RIGHT, "-o", "path.gif"],
    "isthmus.direct/1": [
        "direction",
        "photos.safetensors",
        "--plus",
        "photos/left",
        "--minus",
        "photos/right",
        "-o",
        "d.safetensors",
    ],
    "isthmus.transform/1": ["transform", "photos.safetensors", LEFT, "--along", "way", "-o", "moved.png"],
    "isthmus.augment/1": [
        "augment",
        "photos.safetensors",
        "photos",
        "-n",
        "4",
        "--no-filtered",
        "-o",
        "more",
    ],
    "isthmus.map/1": ["map", "photos.safetensors", "photos", "--method", "pca", "-o", "map.html"],
    "isthmus.frames/1": ["frames", "photos.safetensors", "photos/left", "--predict", "2", "-o", "next.npz"],
    "isthmus.embed/1": ["embed", "photos.safetensors", "photos", "-o", "vectors.npz"],
    "isthmus.classify/1": ["classify", "photos.safetensors", "photos", "photos", "--few-labels", "2"],
    "isthmus.cluster/1": ["cluster", "photos.safetensors", "photos", "-k", "2"],
    "isthmus.search/1": ["search", "photos.safetensors", "photos", "--like", "photos/left/1.png"],
    "isthmus.anomalies/1": ["anomalies", "photos.safetensors", "photos", "--normal", "photos"],
    "isthmus.demo/1": ["demo", "--minutes", "0.02"],
    "isthmus.doctor/1": ["doctor"],
    "isthmus.diagnosis/1": ["doctor", "photos.safetensors", "photos"],
    "isthmus.audit/1": ["audit", "photos", "--against", "photos"],
    "isthmus.tune/1": ["tune", "photos", "--over", "code=1,2", "--folds", "2", *QUICK[:4], "--steps", "2"],
    "isthmus.explain/1": ["explain", "photos.safetensors", "photos", "-o", "explained.html", "--units", "2"],
    "isthmus.export/1": ["export", "photos.safetensors"],
    "isthmus.push/1": ["push", "photos.safetensors", "./shared/"],
    "isthmus.serve/1": ["serve", "photos.safetensors", "--data", "photos", "--port", "0", "--minutes", "0"],
    "isthmus.pull/1": ["pull", "./shared/", "-o", "pulled.safetensors"],
}
# What must have run before, and what must be installed.
BEFORE = {"isthmus.pull/1": RUNS["isthmus.push/1"]}
EXTRA = {"isthmus.export/1": "onnxscript", "isthmus.serve/1": "fastapi"}


def documented() -> dict[str, set[str]]:
    """Schema → keys in the first column of its table in docs/reference/json/."""
    results: dict[str, set[str]] = {}
    for path in (ROOT / "docs" / "reference" / "json").glob("*.md"):
        lines = path.read_text("utf-8").splitlines()
        rows = [line for line in lines if line.startswith("| `")]
        keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])}
        results[lines[0].removeprefix("# ").strip()] = keys
    return results


def test_the_pages_are_those_of_the_results() -> None:
    folder = ROOT / "docs" / "reference"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        pages = load_script("tools/json_reference.py").reference_pages(folder)
    there = {f"json/{path.name}": path.read_text("utf-8") for path in (folder / "json").glob("*.md")}
    there["json.md"] = (folder / "json.md").read_text("utf-8")
    assert there == pages, "run: python tools/json_reference.py"


def test_every_schema_in_the_code_is_documented_and_run_here() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "isthmus").rglob("*.py"))
    used = {name for name in SCHEMA.findall(sources) if f'"{name}"' in sources}
    assert used == set(documented()) == set(RUNS)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("schema", RUNS)
def test_the_output_has_the_documented_keys(
    schema: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if schema == "isthmus.demo/1":
        request.getfixturevalue("quick_demo")
    if schema == "isthmus.transform/1":
        CodeDirection(torch.ones(3)).save("way")
    if schema in EXTRA:
        pytest.importorskip(EXTRA[schema], reason="needs an extra")
    if schema in BEFORE:
        assert main([*BEFORE[schema], "--quiet"]) == 0
        capsys.readouterr()
    assert main([*RUNS[schema], "--json", "--quiet"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert schema in PINNED, (
        f"add to tests/compatibility/json_keys.json: {' '.join(sorted(key_paths(document)))}"
    )
    listed = set(PINNED[schema].split(" "))
    assert listed <= key_paths(document), "a key that goes or changes needs another schema number"
    assert document.pop("schema") == schema
    keys = documented()[schema]
    assert set(document) == {key for key in keys if "." not in key}
    for key in keys:
        parent, _, child = key.partition(".")
        assert not child or child in document[parent], key
