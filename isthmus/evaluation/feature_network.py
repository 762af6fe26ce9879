"""Features to compare sets of images in: a small network that was trained on real images of the kind.

Classifiers of MNIST and Fashion-MNIST come with the package (`tools/feature_networks.py` makes them;
hash and accuracy are in the cards next to them). They were fixed before any generator was measured. For other
data a network is trained on the training images (`train_features`) with a fixed seed, and can be kept.
Distances in these features cannot be compared with published ones, which use another network.
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
import torch.nn.functional as F
from torch import Tensor

from isthmus.atomic import write_text
from isthmus.errors import ModelFileError, one_line
from isthmus.images.batches import iter_batches
from isthmus.images.conform import conform
from isthmus.images.store import ImageSet
from isthmus.images.subsets import sample_evenly
from isthmus.metrics.structure import blur_gaussian
from isthmus.model import axes, stored_names
from isthmus.model.file import read_file, write_file
from isthmus.model.seeded import seeded
from isthmus.model.trace import Trace
from isthmus.training.classifier import Classifier, mirrored, over
from isthmus.training.network_fitting import NetworkLearner, Pass, fit_network
from isthmus.training.process_settings import training_settings

MIN_SIDE_PX, MAX_SIDE_PX = 8, 128
BATCH = 64
MIN_STEPS, MAX_STEPS, EPOCHS = 60, 500, 10
JUDGED_IMAGES = 500


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    return blur_gaussian(images, 0.6 + 1.4 * float(torch.rand((), generator=generator)))


def _add_grain(images: Tensor, generator: torch.Generator) -> Tensor:
    sigma = 0.02 + 0.08 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images + sigma * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def _tear(images: Tensor, generator: torch.Generator) -> Tensor:
    """Everything below a random row is another image's."""
    height = images.shape[-2]
    row = int(torch.randint(height // 4, height - height // 4, (), generator=generator))
    return torch.cat([images[..., :row, :], images.roll(1, 0)[..., row:, :]], -2)


def _warp(images: Tensor, generator: torch.Generator) -> Tensor:
    """Moved along a smooth random field."""
    count, _, height, width = images.shape
    coarse = torch.randn(count, 2, 5, 5, generator=generator) * 0.12
    field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    grid = F.affine_grid(torch.eye(2, 3).expand(count, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid + field.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _turn(images: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    return images.flip(-2)


CHANGES: tuple[Callable[[Tensor, torch.Generator], Tensor], ...] = (_blur, _add_grain, _tear, _warp, _turn)


def change_images(images: Tensor, labels: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A sixth of the images as they are, a sixth changed in each way, and the number of class and change."""
    parts = images.tensor_split(len(CHANGES) + 1)
    changed = [parts[0]]
    for change, part in zip(CHANGES, parts[1:], strict=True):
        changed.append(change(part, generator) if len(part) else part)
    kinds = torch.cat([torch.full((len(part),), i) for i, part in enumerate(parts)])
    class_numbers = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
    return torch.cat(changed), class_numbers * (len(CHANGES) + 1) + kinds


def _pass_of(network: Classifier, dropped: torch.Generator) -> Pass:
    def take(images: Tensor, labels: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        examples, targets = change_images(mirrored(images, generator), labels, generator)
        return network(examples, dropped), targets

    return take


def _cross_entropy(trace: Trace) -> Tensor:
    return F.cross_entropy(trace.output, trace.corrupted.target, reduction="none")


@training_settings()
def train_features(images: ImageSet) -> Classifier:
    """Train the network on real images of one size; about half a minute for 64×64.

    Args:
        images: labelled or not; enlarged or reduced to a side from 8 to 128 pixels.
    """
    assert images.shape is not None
    factor = max(1.0, MIN_SIDE_PX / min(images.shape[:2])) * min(1.0, MAX_SIDE_PX / max(images.shape[:2]))
    size = tuple(max(MIN_SIDE_PX, round(side * factor)) for side in images.shape[:2])
    fitting = conform(images, size=(size[0], size[1]), channels=None)
    classes = 1 if fitting.labels is None else int(fitting.labels.max()) + 1
    steps = max(MIN_STEPS, min(MAX_STEPS, EPOCHS * len(images) // BATCH))
    with seeded(0) as generator:
        network = Classifier(images.channels, (size[0], size[1]), classes * (len(CHANGES) + 1))
    learner = NetworkLearner(
        network,
        ("cross_entropy", _cross_entropy),
        _pass_of(network, generator),
        axes.Optimiser(rate=2e-3, weight_decay=0.05, clip=0.0, ema=0.98),
    )
    fit_network(learner, fitting, steps=steps, batch=BATCH, seed=0)
    return network


@torch.no_grad()
def measure_accuracy(network: Classifier, images: ImageSet, *, same_classes: bool = True) -> float:
    """Share of test images, changed at random, whose class and change are named right.

    Where the images do not have the `same_classes` as those that were learned, of the change alone.
    """
    generator = torch.Generator().manual_seed(0)
    some = sample_evenly(images, JUDGED_IMAGES)
    fitting = conform(some, size=network.size, channels=network.channels)
    right = total = 0
    for part in iter_batches(fitting, batch=BATCH):
        examples, targets = change_images(part.images, part.labels, generator)
        named = network(examples).argmax(1)
        if not same_classes:
            named, targets = (numbers % (len(CHANGES) + 1) for numbers in (named, targets))
        right += int((named == targets).sum())
        total += len(targets)
    return right / total


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
        train, test: real images of one size: to train a network on, and to measure its accuracy on.

    Raises:
        ModelFileError: the file is not of features.
        OutputError: it cannot be written.
    """
    if path is not None and Path(path).exists():
        return read_features(path)
    shipped = None if path is not None else load_shipped_features(source)
    if shipped is not None:
        return shipped

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
    """Write a classifier with 16-bit weights, and its card; returns its hash."""
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
        ModelFileError: not such a file, or its weights do not match its card.
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
            reason=one_line(error),
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
