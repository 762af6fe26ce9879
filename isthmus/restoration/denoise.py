"""`isthmus.denoise`: an image without its noise.

clean = isthmus.denoise(image)             # the noise level is estimated
clean = isthmus.denoise(image, sigma=25)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.images.array_format import receive
from isthmus.images.sample_range import NOISY, Range
from isthmus.metrics.noise import Noise, noise_of
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.trace import Corrupted
from isthmus.restoration import opponent
from isthmus.restoration.arrays import channels_of, colour_of, each, on_cpu
from isthmus.restoration.orientations import check_turns, reconstructed
from isthmus.restoration.pieces import can_be_cut, in_pieces, like, widened
from isthmus.threads import limited

SHIPPED = {1: "photo-denoise-gray", 3: "photo-denoise-colour"}  # by channels
STRONGEST = 2550.0


@limited()
def denoise(
    image: Any,
    sigma: float | None = None,
    model: ModelLike | None = None,
    *,
    thorough: bool = False,
    range: Range | None = None,
    listener: Callable[[int, int], None] | None = None,
) -> Any:
    """Remove noise; any size, in bounded memory.

    Args:
        image: an image file's path, its bytes or the open file, a Pillow image, NumPy `(H, W)` or
            `(H, W, C)`, or torch `(N, C, H, W)`; uint8, uint16, or floats in [0, 1] that noise may carry as
            far as -7 and 8. A second or fourth channel is alpha, which comes back as it is.
        sigma: standard deviation of the noise in units of 1/255; estimated when None (`noise_of`).
        model: a shipped model's name, a model file, or an `Autoencoder`; by default a shipped one.
        thorough: eight times the work, for .1 to .2 decibels: the mean over the image's orientations.
        range: the samples (low, high) that stand for black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        listener: called with (pieces done, pieces in all) of each image.

    Returns:
        The same kind, shape, sample type and range, without samples beyond black and white where it is
        float. Of a file: NumPy `(H, W, C)`.

    Raises:
        DataError: unreadable, NaN, no pixels, samples out of range, or too small an image to estimate its
            noise.
        UsageError: `sigma` is not a level of noise, the model restores other images, or it cannot be
            `thorough` because it knows images one way up only.
    """
    if sigma is not None and not (math.isfinite(sigma) and 0 <= sigma <= STRONGEST):
        raise UsageError(f"sigma={sigma}: the standard deviation of the noise lies from 0 to {STRONGEST:g}")
    image, kind = receive(image, many=False, range=range, bounds=NOISY, alpha="keep")
    image = on_cpu(image)
    network = network_for(image, model)
    if thorough:
        check_turns(network)

    def one(colour: Any, _: int) -> Any:
        noise = seen_noise(colour, sigma)
        out = like(colour)
        in_pieces(
            colour,
            lambda piece, _: cleaned(network, piece, noise, thorough=thorough),
            out=out,
            cut=can_be_cut(network),
            listener=listener,
        )
        return out

    return kind.give(each(image, one))


def network_for(image: Any, model: ModelLike | None = None) -> Autoencoder:
    """The network that denoises this image: the one asked for, or the shipped one for gray or for colour.

    Raises:
        UsageError: there is no such model, or it restores images of other channels.
    """
    channels = channels_of(colour_of(image))
    network = load_shared(model if model is not None else SHIPPED.get(channels, SHIPPED[3]))
    if network.channels != channels and {network.channels, channels} != {1, 3}:
        raise UsageError(f"this model restores images of {network.channels} channels, not of {channels}")
    return network


def seen_noise(image: Any, sigma: float | None = None) -> Noise:
    """`noise_of` NumPy `(H, W[, C])` or torch `(1, C, H, W)`, without alpha."""
    if isinstance(image, Tensor):
        wide = image if image.dtype in (torch.uint8, torch.uint16) else image.float()
        image = wide[0].permute(1, 2, 0).cpu().numpy()
    return noise_of(colour_of(image), sigma)


def cleaned(network: Autoencoder, images: Tensor, noise: Noise, *, thorough: bool = False) -> Tensor:
    """`(N, C, H, W)` with noise → without."""
    images = images.to(next(network.parameters()).device)
    told = torch.full((len(images),), noise.sigma, device=images.device)
    if network.channels == images.shape[1]:
        found = _told(network, images, told, thorough)
    elif network.channels == 1:
        sigmas = noise.sigma * torch.tensor(opponent.SIGMAS, device=images.device).repeat(len(images))
        planes = _told(network, opponent.to_planes(images), sigmas, thorough)
        found = opponent.from_planes(planes).clamp(0, 1)
    else:
        found = _told(network, images.expand(-1, 3, -1, -1), told, thorough).mean(1, keepdim=True)
    if images.shape[1] > 1 and bool((images == images[:, :1]).all()):
        found = found.mean(1, keepdim=True).expand_as(found)  # gray stays gray
    return _brought_back(network, found, noise)


def _brought_back(network: Autoencoder, found: Tensor, noise: Noise) -> Tensor:
    """What was learned from whole noise shows of cut noise its mean, which near black is brighter than the
    image; a network that has seen cut noise beside clean images needs no help."""
    whole = network.recipe.corruption.adds_unclipped_noise
    return noise.cut.undone(found) if whole and noise.sigma > 0 else found


def _told(network: Autoencoder, images: Tensor, sigmas: Tensor, thorough: bool) -> Tensor:
    """One image (or colour plane) at a time, which bounds the memory that is needed."""
    pairs = zip(images, sigmas, strict=True)
    return torch.cat([_one(network, image[None], level[None], thorough) for image, level in pairs])


def _one(network: Autoencoder, images: Tensor, sigmas: Tensor, thorough: bool) -> Tensor:
    """`sigmas (N,)` in units of 1/255; above what the network knows, the image is made paler to fit."""
    height, width = images.shape[-2:]
    seen = widened(images, network.multiple) if can_be_cut(network) else images
    known = network.recipe.corruption.noise_range
    if known is None:
        return reconstructed(network, seen, None, thorough=thorough)[..., :height, :width]
    sigmas = sigmas.clamp_min(max(known[0], 1e-6)).view(-1, 1, 1, 1)
    paler = (known[1] / sigmas).clamp_max(1.0)
    level = (sigmas * paler / 255).expand(-1, 1, *seen.shape[-2:])
    pale = Corrupted(0.5 + paler * (seen - 0.5), seen, condition=level)
    found = reconstructed(network, seen, pale, thorough=thorough)[..., :height, :width]
    return (0.5 + (found - 0.5) / paler).clamp(0, 1)
