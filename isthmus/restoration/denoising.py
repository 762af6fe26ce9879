"""Remove noise from an image: noise level -> network pass -> clipping bias undone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.images.array_format import receive
from isthmus.images.sample_range import NOISY, Range
from isthmus.metrics.noise import Noise, measure_noise
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.trace import Corrupted
from isthmus.restoration import opponent
from isthmus.restoration.arrays import channels_of, colour_of, each, on_cpu
from isthmus.restoration.orientations import check_ensemble, reconstruct
from isthmus.restoration.pieces import can_be_cut, in_pieces, like, widened
from isthmus.threads import limited

SHIPPED = {1: "photo-denoise-gray", 3: "photo-denoise-colour"}  # by channels
MAX_SIGMA = 2550.0


@limited()
def denoise_image(
    image: Any,
    sigma: float | None = None,
    model: ModelLike | None = None,
    *,
    ensemble: bool = False,
    range: Range | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[Any, list[float]]:
    """Remove noise from one image, or from each of a tensor; any size, in bounded memory.

    Args:
        image, sigma, model, ensemble, range: as for `isthmus.denoise`.
        report: called with the share that is done, in (0, 1].

    Returns:
        The image as `isthmus.denoise` gives it, and the noise level of each image in units of 1/255.

    Raises:
        DataError, UsageError: as `isthmus.denoise`.
    """
    check_sigma(sigma)
    image, kind = receive(image, many=False, range=range, bounds=NOISY, alpha="keep")
    image = on_cpu(image)
    network = choose_denoiser(image, model)
    if ensemble:
        check_ensemble(network)
    count = len(image) if isinstance(image, Tensor) else 1
    levels: list[float] = []

    def restore(colour: Any, index: int) -> Any:
        noise = estimate_noise(colour, sigma)
        levels.append(noise.sigma)
        out = like(colour)
        in_pieces(
            colour,
            lambda piece, _: denoise_tensor(network, piece, noise, ensemble=ensemble),
            out=out,
            cut=can_be_cut(network),
            listener=None if report is None else lambda done, of: report((index + done / of) / count),
        )
        return out

    return kind.give(each(image, restore)), levels


def check_sigma(sigma: float | None) -> None:
    """Raises:
    UsageError: this is not a standard deviation of noise.
    """
    if sigma is not None and not (math.isfinite(sigma) and 0 <= sigma <= MAX_SIGMA):
        raise UsageError(
            "sigma={sigma}: the standard deviation of the noise lies from 0 to {most:g}",
            id="denoise.sigma",
            sigma=sigma,
            most=MAX_SIGMA,
        )


def choose_denoiser(image: Any, model: ModelLike | None = None) -> Autoencoder:
    """The network that denoises this image: the one asked for, or the shipped one for gray or for colour.

    Raises:
        UsageError: there is no such model, or it restores images of other channels.
    """
    channels = channels_of(colour_of(image))
    network = load_shared(model if model is not None else SHIPPED.get(channels, SHIPPED[3]))
    if network.channels != channels and {network.channels, channels} != {1, 3}:
        raise UsageError(
            "this model restores images of {expected} channels, not of {channels}",
            id="restoration.channels",
            expected=network.channels,
            channels=channels,
        )
    return network


def estimate_noise(image: Any, sigma: float | None = None) -> Noise:
    """`noise_of` NumPy `(H, W[, C])` or torch `(1, C, H, W)`, without alpha."""
    if isinstance(image, Tensor):
        wide = image if image.dtype in (torch.uint8, torch.uint16) else image.float()
        image = wide[0].permute(1, 2, 0).cpu().numpy()
    return measure_noise(colour_of(image), sigma)


def denoise_tensor(network: Autoencoder, images: Tensor, noise: Noise, *, ensemble: bool = False) -> Tensor:
    """`(N, C, H, W)` with noise → without."""
    images = images.to(next(network.parameters()).device)
    levels = torch.full((len(images),), noise.sigma, device=images.device)
    if network.channels == images.shape[1]:
        found = _denoise_batch(network, images, levels, ensemble)
    elif network.channels == 1:
        sigmas = noise.sigma * torch.tensor(opponent.SIGMAS, device=images.device).repeat(len(images))
        planes = _denoise_batch(network, opponent.to_planes(images), sigmas, ensemble)
        found = opponent.from_planes(planes).clamp(0, 1)
    else:
        found = _denoise_batch(network, images.expand(-1, 3, -1, -1), levels, ensemble).mean(1, keepdim=True)
    if images.shape[1] > 1 and bool((images == images[:, :1]).all()):
        found = found.mean(1, keepdim=True).expand_as(found)  # gray stays gray
    return _undo_clipping_bias(network, found, noise)


def _undo_clipping_bias(network: Autoencoder, found: Tensor, noise: Noise) -> Tensor:
    """A network trained on noise that was not clipped gives the mean of clipped noise, which near black is
    brighter than the image; one trained on clipped noise with clean targets has no such bias."""
    unclipped = network.recipe.corruption.adds_unclipped_noise
    return noise.clipped.remove_bias(found) if unclipped and noise.sigma > 0 else found


def _denoise_batch(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """One image (or colour plane) at a time, which bounds the memory that is needed."""
    pairs = zip(images, sigmas, strict=True)
    return torch.cat([_denoise_image(network, image[None], level[None], ensemble) for image, level in pairs])


def _denoise_image(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """`sigmas (N,)` in units of 1/255; above what the network knows, the image is made paler to fit."""
    height, width = images.shape[-2:]
    seen = widened(images, network.multiple) if can_be_cut(network) else images
    known = network.recipe.corruption.noise_range
    if known is None:
        return reconstruct(network, seen, None, ensemble=ensemble)[..., :height, :width]
    sigmas = sigmas.clamp_min(max(known[0], 1e-6)).view(-1, 1, 1, 1)
    paler = (known[1] / sigmas).clamp_max(1.0)
    level = (sigmas * paler / 255).expand(-1, 1, *seen.shape[-2:])
    pale = Corrupted(0.5 + paler * (seen - 0.5), seen, condition=level)
    found = reconstruct(network, seen, pale, ensemble=ensemble)[..., :height, :width]
    return (0.5 + (found - 0.5) / paler).clamp(0, 1)
