"""A network removes noise from a tensor, with the noise level, range and colour axes of its training."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.metrics.noise import Noise
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted
from isthmus.restoration.network_pass import SIGMAS, from_planes, reconstruct, to_planes, widened
from isthmus.restoration.noise_choice import DenoisingPlan
from isthmus.restoration.pieces import can_be_cut


def denoise_piece(
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
        sigmas = noise.sigma * torch.tensor(SIGMAS, device=images.device).repeat(len(images))
        restored = from_planes(_denoise_batch(network, to_planes(images), sigmas, ensemble))
    else:
        restored = _denoise_batch(network, images.expand(-1, 3, -1, -1), levels, ensemble).mean(
            1, keepdim=True
        )
    restored = restored.clamp(0, 1)
    if images.shape[1] > 1 and bool((images == images[:, :1]).all()):
        restored = restored.mean(1, keepdim=True).expand_as(restored)  # gray stays gray
    # A network trained on noise that was not clipped gives the mean of clipped noise, which near black is
    # brighter than the image; one trained on clipped noise with clean targets has no such bias.
    unclipped = network.recipe.corruption.adds_unclipped_noise
    return noise.clipped.remove_bias(restored) if unclipped and noise.sigma > 0 else restored


def _denoise_batch(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """One image (or colour plane) at a time, which bounds the memory that is needed."""
    pairs = zip(images, sigmas, strict=True)
    return torch.cat([_denoise_image(network, image[None], level[None], ensemble) for image, level in pairs])


def _denoise_image(network: Autoencoder, images: Tensor, sigmas: Tensor, ensemble: bool) -> Tensor:
    """`sigmas (N,)` in units of 1/255; above the range of its training, the contrast of the image is reduced
    to fit.
    """
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
