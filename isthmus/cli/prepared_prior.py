"""The prior that a command draws from: the model's, or a mixture fitted for this once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.cli.console import Console
from isthmus.cli.line import command_line
from isthmus.errors import UsageError
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.generation.prior import Prior
    from isthmus.model.autoencoder import Autoencoder


def with_prior(console: Console, model: Autoencoder, path: str, kind: str | None) -> Prior:
    """The prior of that kind, or the model's best; where it has none, one fitted to its training images.

    Raises:
        UsageError: a kind that it has not, or no prior and no training images to fit one to.
        CapabilityError: the model cannot generate.
    """
    from isthmus.evaluation.training_data import training_images
    from isthmus.generation.codes import check_generates
    from isthmus.generation.fitting import fit_prior
    from isthmus.generation.prior import kept, prior_of

    check_generates(model)
    if kind is not None or kept(model):
        return prior_of(model, kind)
    images, _ = training_images(model)
    if images is None:
        raise UsageError(
            f"{path} has no prior yet, and its training images were not found",
            hint=command_line(["prior", path, "TRAINING-DATA"]),
        )
    console.note(
        f"no prior in {path}: a mixture is fitted to {format_count(len(images), 'training image')} for "
        "this once "
        f"(to keep one: {command_line(['prior', path, images.source])})"
    )
    return fit_prior(model, images, kind="mixture")
