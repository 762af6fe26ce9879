"""Features to compare sets of images in: a small network that was trained on real images of the kind.

Classifiers of MNIST and Fashion-MNIST come with the package (`tools/feature_networks.py` makes them;
hash and accuracy are in the cards beside them). They were fixed before any generator was measured. For other
data a network is trained on the training images (`trained_features.py`) with a fixed seed, and can be kept.
Distances in these features never stand beside published ones, which use another network.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isthmus.atomic import write_text
from isthmus.errors import ModelFileError
from isthmus.images.conform import conform
from isthmus.images.store import ImageSet
from isthmus.model import stored_names
from isthmus.model.file import read_file, write_file
from isthmus.training.classifier import Classifier, over

FOLDER = Path(__file__).parent / "feature_networks"
_KEY = "isthmus.features"


@dataclass(frozen=True, eq=False)
class ComparisonFeatures:
    """Where images are compared.

    Attributes:
        of: `(N, C, H, W)` in [0, 1] → `(N, d)`.
        size, channels: what images are made to agree with first.
        facts: which features these are: kind, hash, accuracy on the test split where they are a classifier's.
    """

    of: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    channels: int
    facts: dict[str, Any]

    def __call__(self, images: ImageSet) -> Tensor:
        """`(N, d)` float32 for a set of images of any size and number of channels."""
        fitting = images if images.shape == (*self.size, self.channels) else self._convert(images)
        return over(self.of, fitting)

    def _convert(self, images: ImageSet) -> ImageSet:
        return conform(images, size=self.size, channels=self.channels)


def load_shipped_features(source: str) -> ComparisonFeatures | None:
    """The classifier that comes with the package for a named data set (any split), or None."""
    name = source.partition(":")[0]
    name = "fashion-mnist" if name == "fashion-sample" else name
    path = FOLDER / f"{name}.safetensors"
    return read_features(path) if path.exists() else None


def find_features(
    path: str | os.PathLike[str] | None, source: str, train: ImageSet, test: ImageSet
) -> ComparisonFeatures:
    """The features to compare images in: of a file, shipped for this data set, or trained now.

    Args:
        path: a file of `write_features`. Where there is none, what is trained now is written there, so that
            other models can be compared in the same features.
        source: the name of the data set.
        train, test: real images of one size: what a network is trained on, and what its accuracy is of.

    Raises:
        ModelFileError: the file is not of features.
        OutputError: it cannot be written.
    """
    if path is not None and Path(path).exists():
        return read_features(path)
    shipped = None if path is not None else load_shipped_features(source)
    if shipped is not None:
        return shipped
    from isthmus.evaluation.trained_features import measure_accuracy, train_features

    network = train_features(train)
    network = network.half().float()  # as it would be read from a file
    same = (train.labels is None) == (test.labels is None) and train.classes == test.classes
    card = {
        "kind": "classifier" if train.labels is not None and len(train.classes) > 1 else "self-supervised",
        "data": train.source,
        "images": len(train),
        "seed": 0,
        "test_accuracy": round(measure_accuracy(network, test, same_classes=same), 4),
    }
    digest = _hash_tensors(_to_stored(network)) if path is None else write_features(path, network, card)
    network.eval().requires_grad_(False)
    return ComparisonFeatures(network.features, network.size, network.channels, {**card, "hash": digest})


def write_features(path: str | os.PathLike[str], network: Classifier, card: dict[str, Any]) -> str:
    """Write a classifier with 16-bit weights, and its card beside it; returns its hash."""
    tensors = _to_stored(network)
    shape = {"channels": network.channels, "size": list(network.size), "classes": network.classes}
    digest = _hash_tensors(tensors)
    write_file(path, tensors, {_KEY: json.dumps(shape)}, force=True)
    write_text(
        Path(path).with_suffix(".json"), json.dumps({**card, **shape, "hash": digest}, indent=1) + "\n"
    )
    return digest


def _to_stored(network: Classifier) -> dict[str, Tensor]:
    stored = stored_names.NAMES.classifier.stored
    state = network.state_dict()
    return {stored(name): t.half() if t.is_floating_point() else t for name, t in state.items()}


def read_features(path: str | os.PathLike[str]) -> ComparisonFeatures:
    """The features of a classifier that `write_features` wrote.

    Raises:
        ModelFileError: not such a file, or its weights are not those that its card speaks of.
    """
    tensors, metadata = read_file(path)
    try:
        shape = json.loads(metadata[_KEY])
        card = json.loads(Path(path).with_suffix(".json").read_text("utf-8"))
        size = (int(shape["size"][0]), int(shape["size"][1]))
        network = Classifier(int(shape["channels"]), size, int(shape["classes"]))
        current = stored_names.NAMES.classifier.current
        network.load_state_dict(
            {current(name): t.float() if t.is_floating_point() else t for name, t in tensors.items()}
        )
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            "{path} is not a feature network: {reason}",
            id="model-file.not-a-feature-network",
            path=path,
            reason=" ".join(str(error).split())[:200],
        ) from None
    digest = _hash_tensors(tensors)
    if digest != card.get("hash"):
        raise ModelFileError(
            "{path} has the hash {digest}, its card {card_hash}",
            id="model-file.feature-network-hash",
            path=path,
            digest=digest,
            card_hash=card.get("hash"),
        )
    network.eval().requires_grad_(False)
    facts = {"kind": "classifier", "data": card.get("data"), "test_accuracy": card.get("test_accuracy")}
    facts |= {key: card[key] for key in ("kind", "images", "seed") if key in card} | {"hash": digest}
    return ComparisonFeatures(network.features, size, network.channels, facts)


def _hash_tensors(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].detach().contiguous().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
