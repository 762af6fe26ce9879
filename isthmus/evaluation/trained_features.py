"""Features to compare images in where none come with the package: a small network trained on the spot.

It is the classifier of `isthmus.training.classifier`, trained on real images alone, to name each image's
class (where there are labels) and what was done to it: nothing, or one of five changes that generators are
prone to, such as blur, grain and torn or wavy shapes. Few classes are told apart at a glance; the changes
make the features see detail and structure too. Without labels the changes alone are learned
(self-supervised).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.images.batches import iter_batches
from isthmus.images.conform import conform
from isthmus.images.store import ImageSet
from isthmus.images.subsets import sample_evenly
from isthmus.metrics.sharpness import blur_gaussian
from isthmus.model import axes
from isthmus.model.seeded import seeded
from isthmus.model.trace import Trace
from isthmus.training.classifier import Classifier, mirrored
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
def train_features(images: ImageSet, *, seed: int = 0) -> Classifier:
    """Train the network on real images of one size; about half a minute for 64×64.

    Args:
        images: labelled or not; enlarged or reduced to a side from 8 to 128 pixels.
        seed: of weights, order and changes.
    """
    assert images.shape is not None
    factor = max(1.0, MIN_SIDE_PX / min(images.shape[:2])) * min(1.0, MAX_SIDE_PX / max(images.shape[:2]))
    size = tuple(max(MIN_SIDE_PX, round(side * factor)) for side in images.shape[:2])
    fitting = conform(images, size=(size[0], size[1]), channels=None)
    classes = 1 if fitting.labels is None else int(fitting.labels.max()) + 1
    steps = max(MIN_STEPS, min(MAX_STEPS, EPOCHS * len(images) // BATCH))
    with seeded(seed) as generator:
        network = Classifier(images.channels, (size[0], size[1]), classes * (len(CHANGES) + 1))
    learner = NetworkLearner(
        network,
        ("cross_entropy", _cross_entropy),
        _pass_of(network, generator),
        axes.Optimiser(rate=2e-3, weight_decay=0.05, clip=0.0, ema=0.98),
    )
    fit_network(learner, fitting, steps=steps, batch=BATCH, seed=seed)
    return network


@torch.no_grad()
def measure_accuracy(
    network: Classifier, images: ImageSet, *, same_classes: bool = True, seed: int = 0
) -> float:
    """Share of test images, changed at random, whose class and change are named right.

    Where the images do not have the `same_classes` as those that were learned, of the change alone.
    """
    generator = torch.Generator().manual_seed(seed)
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
