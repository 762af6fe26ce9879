"""A small convolutional classifier, trained by the same loop. Its features serve to compare images, and it
measures whether more training images help.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.errors import DataError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.images.subsets import labels_of
from isthmus.model import axes
from isthmus.model.seeded import dropout, seeded
from isthmus.model.trace import Trace
from isthmus.training.callbacks import Listener
from isthmus.training.network_fitting import NetworkLearner, Pass, fit_network
from isthmus.training.process_settings import training_settings

FEATURES = 64
DROPOUT = 0.2
_BATCH = 500


class Classifier(nn.Module):
    """Four convolutions with batch normalisation, a layer of 64 features, one linear layer.

    Args:
        channels: of the images; size: their `(H, W)`, at least 8×8.
        classes: how many labels.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.channels, self.size, self.classes = channels, size, classes
        # Halved at once: full resolution costs most of the time and adds little to so small a network. On
        # larger images the filters take larger steps and overlap by half: they still see single pixels.
        step = 2 ** max(1, int(math.log2(min(size) / 16)))
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 2 * step, stride=step, padding=step // 2, bias=False),
            *(nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        )
        rows, columns = ((side // step + 1) // 2 for side in size)
        self.narrow = nn.Linear(64 * rows * columns, FEATURES)
        self.last = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` in [0, 1] → `(N, 64)`, never negative."""
        return F.relu(self.narrow(self.convolutions(images).flatten(1)))

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """`(N, C, H, W)` → logits `(N, classes)`; with a `generator` features are dropped at random."""
        features = self.features(images)
        if generator is not None:
            features = dropout(features, DROPOUT, generator)
        logits: Tensor = self.last(features)
        return logits


def _classifier_pass(network: Classifier, shift: int, mirror: bool, dropped: torch.Generator) -> Pass:
    """A pass of the classifier: logits; labels are its targets, which the trace holds."""

    def take(
        images: Tensor,
        labels: Tensor | None,  # noqa: ARG001
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        if not network.training:
            return network(images), images
        examples = shifted(images, shift, generator) if shift else images
        examples = mirrored(examples, generator) if mirror else examples
        return network(examples, dropped), images

    return take


def _cross_entropy(trace: Trace) -> Tensor:
    assert trace.labels is not None
    return F.cross_entropy(trace.output, trace.labels, reduction="none")


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """`(N, C, H, W)` moved by up to `most` pixels each way, edges repeated; eight shifts a batch."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (most, most, most, most), mode="replicate")
    parts = []
    for part in padded.chunk(8):
        top, left = torch.randint(0, 2 * most + 1, (2,), generator=generator, device=images.device).tolist()
        parts.append(part[..., top : top + height, left : left + width])
    return torch.cat(parts)


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """`(N, C, H, W)`, half of them with left and right exchanged."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


@training_settings()
def train_classifier(
    images: ImageSet,
    *,
    steps: int,
    batch: int = 128,
    rate: float = 2e-3,
    shift: int = 2,
    mirror: bool = False,
    seed: int = 0,
    precision: str = "float32",
    balance: bool = False,
    classes: int | None = None,
    listener: Listener | None = None,
) -> Classifier:
    """A classifier of labelled images of one size; the last averaged weights are kept.

    Args:
        images: with labels.
        shift: pixels that examples are moved by at random, each way; 0 for none.
        mirror: exchange left and right in half of the examples: not for digits.
        balance: draw classes equally often.
        classes: how many there are, where not every one is among the images.

    Raises:
        DataError: no labels, mixed sizes, or images smaller than 8×8.
    """
    labels = labels_of(images)
    if images.shape is None or min(images.shape[:2]) < 8:
        raise DataError(
            "{source}: a classifier needs images of one size, at least 8×8",
            id="classify.one-size",
            source=images.source,
        )
    height, width, channels = images.shape
    with seeded(seed) as generator:
        network = Classifier(channels, (height, width), classes or int(labels.max()) + 1)
    ema = 0.995 if steps > 1500 else 0.98
    optimiser = axes.Optimiser(rate=rate, weight_decay=0.05, clip=0.0, ema=ema)
    fit_network(
        NetworkLearner(
            network,
            ("cross_entropy", _cross_entropy),
            _classifier_pass(network, shift, mirror, generator),
            optimiser,
        ),
        images,
        steps=steps,
        batch=batch,
        seed=seed,
        precision=precision,
        balance=balance,
        listener=listener,
    )
    return network


@torch.no_grad()
def over(network: Callable[[Tensor], Tensor], images: ImageSet) -> Tensor:
    """`(N, …)`: what a network makes of every image, in passes of bounded size."""
    return torch.cat([network(part.images).float() for part in iter_batches(images, batch=_BATCH)])


def predictions(network: Classifier, images: ImageSet) -> npt.NDArray[np.int64]:
    """`(N,)` the likeliest label of each image."""
    return over(network, images).argmax(1).numpy()


def accuracy(network: Classifier, images: ImageSet) -> float:
    """Share of images whose label is the likeliest, from 0 to 1.

    Raises:
        DataError: no labels.
    """
    return float((predictions(network, images) == labels_of(images)).mean())
