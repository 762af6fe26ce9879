"""Remove noise from an image: measured noise -> choice of network -> network pass -> clipping bias undone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.images.array_format import receive
from isthmus.images.sample_range import NOISY, Range
from isthmus.metrics.noise import Noise
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.trace import Corrupted
from isthmus.restoration import arrays
from isthmus.restoration.arrays import channels_of, colour_of, each, on_cpu, opaque_of
from isthmus.restoration.noise_choice import DEJPEG, DenoisingPlan, plan_denoising
from isthmus.restoration.pieces import can_be_cut, check_ensemble, in_pieces, like, reconstruct, widened
from isthmus.threads import limited

MAX_SIGMA = 2550.0


@limited()
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
        jpeg: the image was decoded from JPEG, for which there is a network of its own; None: take that one
            whatever the noise.
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
    count = len(image) if isinstance(image, Tensor) else 1
    plans: list[DenoisingPlan] = []

    def restore(colour: Any, index: int) -> Any:
        gray = _first_channel_of_gray(colour)
        planes = colour if gray is None else gray
        if jpeg is None:
            plan = DenoisingPlan(DEJPEG, "", 0.0, None, Noise(0.0))
        else:
            opaque = opaque_of(image, index)
            plan = plan_denoising(_rows(planes), sigma, choose=chosen is None, opaque=opaque, jpeg=jpeg)
        plans.append(plan)
        out = like(colour)
        if (plan.leaves_image and not _is_blind(chosen)) or strength == 0:
            out[...] = colour
            return out
        network = chosen if chosen is not None else load_shared(plan.model or DEJPEG)
        if ensemble:
            check_ensemble(network)
        in_pieces(
            planes,
            lambda piece, _: _restore_piece(network, piece, plan, strength=strength, ensemble=ensemble),
            out=out,
            cut=can_be_cut(network),
            listener=None if report is None else lambda done, of: report((index + done / of) / count),
        )
        return out

    return kind.give(each(image, restore)), plans


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


def _rows(image: Any) -> npt.NDArray[Any]:
    """NumPy `(H, W[, C])` as it is, torch `(1, C, H, W)` as NumPy `(H, W, C)`."""
    if not isinstance(image, Tensor):
        return np.asarray(image)
    wide = image if image.dtype in (torch.uint8, torch.uint16) else image.float()
    return wide[0].permute(1, 2, 0).cpu().numpy()


def _is_blind(network: Autoencoder | None) -> bool:
    """Whether a chosen network gets no noise level, so that it removes more than noise."""
    return network is not None and network.recipe.corruption.noise_range is None


def _first_channel_of_gray(image: Any) -> Any:
    """One channel of a colour image whose channels are equal; None of any other."""
    if isinstance(image, Tensor):
        gray = image.shape[1] == 3 and bool((image == image[:, :1]).all())
        return image[:, :1] if gray else None
    gray = image.ndim == 3 and image.shape[2] == 3 and bool((image == image[..., :1]).all())
    return image[..., :1] if gray else None


def _restore_piece(
    network: Autoencoder, piece: Tensor, plan: DenoisingPlan, *, strength: float, ensemble: bool
) -> Tensor:
    """`(1, C, h, w)` in the range of its samples → denoised."""
    bright = piece * plan.gain
    restored = denoise_tensor(
        network,
        bright,
        plan.noise,
        ensemble=ensemble,
        axes=plan.axes if network.channels == piece.shape[1] else None,
    )
    return (bright + strength * (restored - bright)) / plan.gain


def denoise_tensor(
    network: Autoencoder,
    images: Tensor,
    noise: Noise,
    *,
    ensemble: bool = False,
    axes: Tensor | None = None,
) -> Tensor:
    """`(N, C, H, W)` with noise → without.

    `axes (C, C)` is a change of colour axes around middle gray in which `noise` is white.
    """
    images = images.to(next(network.parameters()).device)
    levels = torch.full((len(images),), noise.sigma, device=images.device)
    if axes is not None:
        axes = axes.to(images)
        turned = torch.einsum("ij,njhw->nihw", axes, images - 0.5) + 0.5
        restored = _denoise_batch(network, turned, levels, ensemble)
        restored = torch.einsum("ij,njhw->nihw", torch.linalg.inv(axes), restored - 0.5) + 0.5
    elif network.channels == images.shape[1]:
        restored = _denoise_batch(network, images, levels, ensemble)
    elif network.channels == 1:
        sigmas = noise.sigma * torch.tensor(arrays.SIGMAS, device=images.device).repeat(len(images))
        restored = arrays.from_planes(_denoise_batch(network, arrays.to_planes(images), sigmas, ensemble))
    else:
        restored = _denoise_batch(network, images.expand(-1, 3, -1, -1), levels, ensemble).mean(
            1, keepdim=True
        )
    restored = restored.clamp(0, 1)
    if images.shape[1] > 1 and bool((images == images[:, :1]).all()):
        restored = restored.mean(1, keepdim=True).expand_as(restored)  # gray stays gray
    return _undo_clipping_bias(network, restored, noise)


def _undo_clipping_bias(network: Autoencoder, restored: Tensor, noise: Noise) -> Tensor:
    """A network trained on noise that was not clipped gives the mean of clipped noise, which near black is
    brighter than the image; one trained on clipped noise with clean targets has no such bias."""
    unclipped = network.recipe.corruption.adds_unclipped_noise
    return noise.clipped.remove_bias(restored) if unclipped and noise.sigma > 0 else restored


def _denoise_batch(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """One image (or colour plane) at a time, which bounds the memory that is needed."""
    pairs = zip(images, sigmas, strict=True)
    return torch.cat([_denoise_image(network, image[None], level[None], ensemble) for image, level in pairs])


def _denoise_image(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """`sigmas (N,)` in units of 1/255; above what the network knows, the image is made paler to fit."""
    height, width = images.shape[-2:]
    padded = widened(images, network.multiple) if can_be_cut(network) else images
    noise_range = network.recipe.corruption.noise_range
    if noise_range is None:
        return reconstruct(network, padded, None, ensemble=ensemble)[..., :height, :width]
    sigmas = sigmas.clamp_min(max(noise_range[0], 1e-6)).view(-1, 1, 1, 1)
    paler = (noise_range[1] / sigmas).clamp_max(1.0)
    level = (sigmas * paler / 255).expand(-1, 1, *padded.shape[-2:])
    pale = Corrupted(0.5 + paler * (padded - 0.5), padded, condition=level)
    restored = reconstruct(network, padded, pale, ensemble=ensemble)[..., :height, :width]
    return 0.5 + (restored - 0.5) / paler
