"""What every result can do: one line, a document, files of all its formats, a view in a notebook."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.api.result import Result

MODEL, PHOTOS, PHOTO = "photos.safetensors", "photos", "photos/left/1.png"
TINY: dict[str, Any] = {"recipe": "dense", "code": "2", "settings": ["backbone.width=8"], "steps": 1}


def _compress() -> Result:
    return isthmus.compress_files(f"{PHOTOS}/left", out="small")


def _decompress() -> Result:
    _compress()
    return isthmus.decompress_files("small", out="again")


def _verify() -> Result:
    _compress()
    return isthmus.verify_files("small")


def _transform() -> Result:
    return isthmus.transform(MODEL, PHOTO, isthmus.find_direction(MODEL, f"{PHOTOS}/left", f"{PHOTOS}/right"))


def _pull() -> Result:
    isthmus.push(MODEL, "./shared/")
    return isthmus.pull("./shared/", "pulled.safetensors")


RESULTS: dict[str, Callable[[], Any]] = {
    "anomalies": lambda: isthmus.anomalies(MODEL, PHOTOS),
    "audit": lambda: isthmus.audit(PHOTOS, limit=4),
    "augment": lambda: isthmus.augment(MODEL, PHOTOS, 4, filtered=False),
    "classify": lambda: isthmus.classify(MODEL, PHOTOS, PHOTOS, few_labels=0),
    "cluster": lambda: isthmus.cluster(MODEL, PHOTOS, 2, space="features"),
    "compare": lambda: isthmus.compare(PHOTOS, ["dense"], code="2", steps=1),
    "compress": _compress,
    "decompress": _decompress,
    "denoise": lambda: isthmus.denoise_files(PHOTO, out="clean/", sigma=5),
    "diagnose": lambda: isthmus.diagnose(MODEL, PHOTOS),
    "direction": lambda: isthmus.find_direction(MODEL, f"{PHOTOS}/left", f"{PHOTOS}/right"),
    "embed": lambda: isthmus.embed(MODEL, PHOTOS),
    "evaluate": lambda: isthmus.evaluate(MODEL, PHOTOS),
    "explain": lambda: isthmus.explain(MODEL, PHOTO, units=2),
    "frames": lambda: isthmus.predict_frames(MODEL, f"{PHOTOS}/left", 2),
    "generate": lambda: isthmus.generate(MODEL, 2),
    "info": lambda: isthmus.inspect_file(MODEL),
    "inpaint": lambda: isthmus.inpaint_files(PHOTO, out="whole/", find="dead-pixels"),
    "interpolate": lambda: isthmus.interpolate(MODEL, [PHOTO, PHOTO], frames=3),
    "map": lambda: isthmus.code_map(MODEL, PHOTOS, method="pca"),
    "models": isthmus.list_models,
    "motion": lambda: isthmus.fit_motion(MODEL, f"{PHOTOS}/left", steps=1),
    "plan": lambda: isthmus.plan_training(PHOTOS, **TINY),
    "prior": lambda: isthmus.fit_prior(MODEL, kind="gaussian"),
    "pull": _pull,
    "push": lambda: isthmus.push(MODEL, "./shared/"),
    "recipe": lambda: isthmus.describe_recipe("conv"),
    "recipes": isthmus.list_recipes,
    "reconstruct": lambda: isthmus.reconstruct_files(MODEL, PHOTOS, out="seen"),
    "search": lambda: isthmus.search(MODEL, PHOTOS, PHOTO),
    "train": lambda: isthmus.train(PHOTOS, **TINY).training_report,
    "transform": _transform,
    "tune": lambda: isthmus.tune(PHOTOS, ["code=2"], recipe="dense", steps=1, folds=2),
    "verify": _verify,
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", RESULTS)
def test_a_result_shows_itself_and_is_saved_in_all_its_formats(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]()
    assert isinstance(result, Result)
    line = repr(result)
    assert line.startswith(f"{type(result).__name__}(") and "\n" not in line and len(line) < 500
    assert result._repr_html_().startswith("<div>")
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["schema"] == type(result).schema
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.complete = False  # type: ignore[misc]
    for suffix in {*type(result).formats, ".json"}:
        if suffix == ".parquet" and find_spec("pyarrow") is None:
            continue
        path = result.save(tmp_path / f"saved{suffix}")
        assert path.stat().st_size > 0
    assert json.loads((tmp_path / "saved.json").read_text()) == document
    if ".csv" in type(result).formats:
        with (tmp_path / "saved.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header and rows and {len(row) for row in rows} == {len(header)}
    if ".npz" in type(result).formats:
        assert np.load(tmp_path / "saved.npz").files
