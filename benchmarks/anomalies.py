"""One-class anomaly detection: trained on one class, all others are unusual; mean AUROC over ten classes.

    python benchmarks/anomalies.py mnist                    about ten minutes on one core
    python benchmarks/anomalies.py fashion-mnist --images 300 --classes 0 3

For each class a `features` model is trained on its training images alone. All test images are scored, beside
the reconstruction error of 32 principal components and the distance to the nearest normal image.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

import isthmus
from isthmus.atomic import write_text
from isthmus.features import anomalies
from isthmus.features import readout as readouts
from isthmus.features.contenders import pixel_vectors
from isthmus.features.neighbourhood import nearest
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import principal_subspace

SETTINGS: dict[str, Any] = {"code": "64@4", "settings": ["backbone.side=9"]}


def one_class(
    train: ImageSet, test: ImageSet, label: int, kinds: Sequence[anomalies.Kind]
) -> dict[str, float]:
    """AUROC of the scores when `label` is normal."""
    assert train.labels is not None and test.labels is not None
    normal = train.subset(np.flatnonzero(train.labels == label))
    unusual = test.labels != label
    model = isthmus.train(normal, recipe="features", precision="float32", seed=0, **SETTINGS)
    readout = readouts.fit_extractor(model, normal)
    aurocs: dict[str, float] = {}
    for kind in kinds:
        detector = anomalies.fit_detector(model, readout, normal, kind, false_alarms=0.01)
        scores = anomalies.score(model, readout, detector, test)
        aurocs[kind] = float(roc_auc_score(unusual, scores))
        if kind == "density":
            flagged = scores > detector.threshold
            aurocs["false alarms at 1 %"] = float(flagged[~unusual].mean())
            aurocs["found at 1 %"] = float(flagged[unusual].mean())
    size = (train.shape or (28, 28, 1))[:2]
    first, second = (torch.from_numpy(pixel_vectors(images, size)) for images in (normal, test))
    pca = principal_subspace([first], 32)
    error = (pca.decode(pca.encode(second)) - second).square().mean(1)
    aurocs["PCA 32 reconstruction"] = float(roc_auc_score(unusual, error.numpy()))
    distance, _ = nearest(second.numpy(), first.numpy(), 1)
    aurocs["nearest pixels"] = float(roc_auc_score(unusual, distance[:, 0]))
    return aurocs


def some(images: ImageSet, most: int | None) -> ImageSet:
    if most is None or len(images) <= 10 * most:
        return images
    return images.subset(np.linspace(0, len(images) - 1, 10 * most).astype(int))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", choices=["mnist", "fashion-mnist"])
    parser.add_argument("-o", "--out", type=Path, default=Path("feature-results"))
    parser.add_argument("--images", type=int, help="at most so many per class")
    parser.add_argument("--classes", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--scores", nargs="+", default=["density"], choices=get_args(anomalies.Kind))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        train, test = (some(isthmus.read(f"{name}:{part}"), arguments.images) for part in ("train", "test"))
        path = arguments.out / f"{name}-anomalies.json"
        results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        for label in arguments.classes:
            if str(label) in results:
                continue
            start = time.monotonic()
            results[str(label)] = one_class(train, test, label, arguments.scores)
            results[str(label)]["seconds"] = round(time.monotonic() - start, 1)
            write_text(path, json.dumps(results, indent=1))
            print(name, label, json.dumps(results[str(label)]), flush=True)
        keys = [key for key in next(iter(results.values())) if key != "seconds"]
        means = {
            key: round(100 * float(np.mean([result[key] for result in results.values()])), 2) for key in keys
        }
        print(name, "means over", len(results), "classes:", json.dumps(means), flush=True)


if __name__ == "__main__":
    main()
