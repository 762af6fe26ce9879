"""Features without labels on standard sets: linear probe, neighbours, few labels, clusters, beside baselines.

    python benchmarks/features.py mnist                     about ten minutes on one core
    python benchmarks/features.py fashion-mnist cifar10 -o results/
    python benchmarks/features.py mnist --images 2000       small and quick, to try it out

Training sees no label. Choices were made on parts of the training sets; the test sets are only reported on.
CIFAR-10 here is the first 36,000 images of the file to train and its last 4,000 to report. Every step is kept
in the folder, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import isthmus
from isthmus.atomic import write_text
from isthmus.features import readout as readouts
from isthmus.features.classification import FEW_LABELS, classify
from isthmus.features.clustering import agreement, cluster_vectors, reduce_dimensions
from isthmus.images.store import ImageSet

SETTINGS: dict[str, dict[str, Any]] = {
    "mnist": {"code": "256@4", "settings": ["backbone.side=9"]},
    "fashion-mnist": {"code": "256@4", "settings": ["backbone.side=6"], "epochs": 0.25},
    "cifar10": {"code": "512@4", "settings": ["backbone.side=6"], "epochs": 0.25},
}
SEEDS = range(5)
CIFAR_TRAIN = 36_000
FEATURE_SETS = ("features", "pixels", "pca")


def parts(name: str) -> tuple[ImageSet, ImageSet]:
    """The training and the reported images."""
    if name != "cifar10":
        return isthmus.read(f"{name}:train"), isthmus.read(f"{name}:test")
    images = isthmus.read(name)
    where = np.arange(len(images))
    return images.subset(where[:CIFAR_TRAIN]), images.subset(where[CIFAR_TRAIN:])


def some(images: ImageSet, most: int | None) -> ImageSet:
    """At most so many images, drawn evenly."""
    if most is None or len(images) <= most:
        return images
    return images.subset(np.linspace(0, len(images) - 1, most).astype(int))


def step(folder: Path, name: str, what: str, work: Any) -> dict[str, Any]:
    """Do a piece of work once, and remember its numbers and seconds."""
    path = folder / f"{name}-{what}.json"
    if path.exists():
        result: dict[str, Any] = json.loads(path.read_text())
        return result
    start = time.monotonic()
    result = work()
    result["seconds"] = round(time.monotonic() - start, 1)
    write_text(path, json.dumps(result, indent=1))
    print(name, what, json.dumps(result), flush=True)
    return result


def measure(name: str, folder: Path, most: int | None, spaces: list[str]) -> None:
    train, test = parts(name)
    train, test = some(train, most), some(test, most)
    path = folder / f"{name}.safetensors"
    options = SETTINGS[name]

    def training() -> dict[str, Any]:
        model = isthmus.train(train, recipe="features", precision="float32", seed=0, **options)
        model.save(path)
        return {"validation": model.summary["best"], "settings": options, "images": len(train)}

    step(folder, name, "train", training)
    model = isthmus.load(path)
    readout = readouts.read_extractor(model)
    assert readout is not None

    for feature_set in FEATURE_SETS:

        def classes(feature_set: str = feature_set) -> dict[str, Any]:
            few = FEW_LABELS if name != "cifar10" else 0
            row = classify(model, readout, train, test, few=few, kinds=[feature_set]).rows[0]
            return row.to_dict()

        step(folder, name, feature_set, classes)
    if name == "cifar10":
        return

    def vectors() -> dict[str, Any]:
        rows = [readouts.extract_features(model, images, readout, compact=True) for images in (train, test)]
        np.save(folder / f"{name}-compact.npy", np.concatenate(rows))
        return {"numbers": int(rows[0].shape[1])}

    step(folder, name, "vectors", vectors)
    rows = np.load(folder / f"{name}-compact.npy")
    assert train.labels is not None and test.labels is not None
    labels = np.concatenate([train.labels, test.labels])
    for space in spaces:

        def clusters(space: Any = space) -> dict[str, Any]:
            scores = []
            where = None
            for seed in SEEDS:
                if where is None or space == "umap":  # the other spaces are the same for every seed
                    where = reduce_dimensions(rows, 10, space=space, seed=seed)
                scores.append(agreement(labels, cluster_vectors(where, 10, seed=seed).assigned))
            means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
            return means | {"deviation": float(np.std([score["accuracy"] for score in scores]))}

        step(folder, name, f"clusters-{space}", clusters)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", choices=list(SETTINGS))
    parser.add_argument("-o", "--out", type=Path, default=Path("feature-results"))
    parser.add_argument("--images", type=int, help="at most so many of each set")
    parser.add_argument("--spaces", nargs="+", default=["spectral", "features"], help="also umap")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        measure(name, arguments.out, arguments.images, arguments.spaces)


if __name__ == "__main__":
    main()
