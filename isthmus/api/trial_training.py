"""Trainings that are compared: of the same length and size, on images that are already read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.api.inputs import Size

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.model.recipe import Recipe


@dataclass(frozen=True)
class TrialLength:
    """Length of each training, at most one of three, and the size of images.

    Attributes:
        epochs: passes over the images.
        minutes: time.
        steps: batches.
        size: height and width in pixels.
    """

    epochs: float | None = None
    minutes: float | None = None
    steps: int | None = None
    size: Size | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is a length at all."""
        return any((self.epochs, self.minutes, self.steps))


def train_trial(
    images: ImageSet,
    recipe: Recipe,
    length: TrialLength,
    *,
    seed: int,
    report: Callable[[float, str], None] = lambda _share, _text: None,
) -> Autoencoder:
    """Train one model that is thrown away after it was measured: nothing is fitted to it afterwards.

    Args:
        report: called with the share that is done, 0 to 1, and what the training sees.

    Raises:
        UsageError, CapabilityError, DataError: see `isthmus.train`.
        KeyboardInterrupt: interrupted: an incomplete model cannot be compared with others.
    """
    from isthmus.api.training_watch import describe_step
    from isthmus.training.config import TrainConfig
    from isthmus.training.session import train_model
    from isthmus.training.trainer_setup import Observers

    observers = Observers(listener=lambda step: report(step.share, describe_step(step)))
    config = TrainConfig(seed=seed, **vars(length))
    model = train_model(images, config, recipe=recipe, observers=observers)
    if not model.summary["complete"]:
        raise KeyboardInterrupt
    return model
