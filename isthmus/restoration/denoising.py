"""Remove noise from an image: measured noise -> choice of network -> network pass -> clipping bias undone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.images.array_format import receive
from isthmus.images.sample_range import NOISY, Range
from isthmus.metrics.noise import Noise
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike, load_shared
from isthmus.restoration.arrays import (
    as_rows,
    channels_of,
    colour_of,
    copy_of,
    iter_colours,
    merge_equal_channels,
    on_cpu,
    opaque_of,
)
from isthmus.restoration.denoising_pass import denoise_piece
from isthmus.restoration.network_pass import check_ensemble
from isthmus.restoration.noise_choice import DEJPEG, DenoisingPlan, plan_denoising
from isthmus.restoration.pieces import can_be_cut, iter_pieces
from isthmus.threads import limited

MAX_SIGMA = 2550.0


@limited()
@torch.no_grad()
def denoise_image(
    image: Any,
    sigma: float | None = None,
    model: ModelLike | None = None,
    *,
    ensemble: bool = False,
    strength: float = 1.0,
    jpeg: bool | None = False,
    range: Range | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[Any, list[DenoisingPlan]]:
    """Remove noise from one image, or from each of a tensor; any size, in bounded memory.

    Args:
        image, sigma, model, ensemble, strength, range: as for `isthmus.denoise`.
        jpeg: the image was decoded from a JPEG file, for which there is a separate network; None: use this
            network whatever the noise.
        report: called with the share that is done, in (0, 1].

    Returns:
        The image as `isthmus.denoise` gives it, and how each image was denoised.

    Raises:
        DataError, UsageError: as `isthmus.denoise`.
    """
    check_sigma(sigma)
    check_strength(strength)
    image, kind = receive(image, many=False, range=range, bounds=NOISY, alpha="keep")
    image = on_cpu(image)
    chosen = None if model is None else load_shared(model)
    check_channels(image, chosen)
    out = copy_of(image)
    count = len(image) if isinstance(image, Tensor) else 1
    plans: list[DenoisingPlan] = []
    for index, (colour, target) in enumerate(zip(iter_colours(image), iter_colours(out), strict=True)):
        planes = merge_equal_channels(colour)
        if jpeg is None:
            plan = DenoisingPlan(DEJPEG, "", 0.0, None, Noise(0.0))
        else:
            opaque = opaque_of(image, index)
            plan = plan_denoising(as_rows(planes), sigma, choose=chosen is None, opaque=opaque, jpeg=jpeg)
        plans.append(plan)
        if (plan.leaves_image and not _is_blind(chosen)) or strength == 0:
            continue
        network = chosen if chosen is not None else load_shared(plan.model or DEJPEG)
        if ensemble:
            check_ensemble(network)
        for piece in iter_pieces(planes, target, cut=can_be_cut(network)):
            piece.write(denoise_piece(network, piece.batch, plan, strength=strength, ensemble=ensemble))
            if report is not None:
                report((index + piece.share) / count)
    return kind.give(out), plans


def check_sigma(sigma: float | None) -> None:
    """Raises:
    UsageError: this is not a standard deviation of noise.
    """
    if sigma is not None and not (math.isfinite(sigma) and 0 <= sigma <= MAX_SIGMA):
        raise UsageError(
            "sigma={sigma}: the standard deviation of the noise must be from 0 to {most:g}",
            id="denoise.sigma",
            sigma=sigma,
            most=MAX_SIGMA,
        )


def check_strength(strength: float) -> None:
    """Raises:
    UsageError: this is not a share.
    """
    if not 0 <= strength <= 1:
        raise UsageError(
            "strength={strength}: expected a number from 0 to 1",
            id="restoration.strength",
            strength=strength,
        )


def check_channels(image: Any, network: Autoencoder | None) -> None:
    """Raises:
    UsageError: the chosen network restores images of other channels.
    """
    channels = channels_of(colour_of(image))
    if network is None and channels not in (1, 3):
        raise UsageError(
            "the shipped models restore images of 1 or 3 channels, not of {channels}",
            id="restoration.shipped-channels",
            hint=Hint.call("train", "DATA", recipe="denoising"),
            channels=channels,
        )
    if network is not None and network.channels != channels and {network.channels, channels} != {1, 3}:
        raise UsageError(
            "this model restores images of {expected} channels, not of {channels}",
            id="restoration.channels",
            expected=network.channels,
            channels=channels,
        )


def _is_blind(network: Autoencoder | None) -> bool:
    """Whether a chosen network gets no noise level, so that it removes more than noise."""
    return network is not None and network.recipe.corruption.noise_range is None
