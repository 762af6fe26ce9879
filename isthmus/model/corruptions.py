"""Corruptions of the encoder's input; the target stays clean.

Each is vectorised over the batch and draws only from the generator it is given, so a step can be repeated
exactly. Images are `(N, C, H, W)` float32 in [0, 1]; σ is in units of 1/255.

`recorrupted` trains a denoiser from noisy images alone. For y with Gaussian noise of σ and fresh noise z of
the same σ, the noise of y + αz is independent of that of y − z/α, so the best prediction of the second from
the first is the clean image (Pang, Zheng, Quan and Ji 2021, section 3). Images in files have lost the noise
beyond black and white (`isthmus.metrics.noise`): near both it is weaker, and z is made weaker there, too. The
network then learns the mean of such noise, and `isthmus.restoration` undoes this bias.
"""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.metrics.clipped_noise import ClippedNoise
from isthmus.metrics.structure import blur_gaussian
from isthmus.model import axes, masks
from isthmus.model.axes.corruption import LEAST_RECORRUPTION as LEAST
from isthmus.model.axes.corruption import MOST_RECORRUPTION as MOST
from isthmus.model.axes.point import network_of
from isthmus.model.masks import fill
from isthmus.model.trace import Corrupted

_MEAN_WEIGHT = 1 - (math.atan(MOST) - math.atan(LEAST)) / (MOST - LEAST)  # of α² / (1 + α²)
_AROUND = 9  # pixels along the window whose mean tells how near black or white is


def recorrupted(images: Tensor, how: axes.Recorrupted, generator: torch.Generator) -> Corrupted:
    """Two versions of noisy `images`; the noise of the target has a variance of σ²(1 + 1/α²), by which the
    weight of each image is divided.

    Raises:
        UsageError: the strength of the noise is not given.
    """
    if how.sigma is None:  # a training measures it before the first step
        raise UsageError(
            "the noise of these images is not known: give corruption.sigma", id="recipe.noise-unknown"
        )
    sigma, like = how.sigma / 255, images[:, :1, :1, :1]
    drawn = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    alpha = LEAST + (MOST - LEAST) * drawn
    noise = sigma * torch.randn(images.shape, generator=generator, device=images.device)
    if how.clipped:
        noise = noise * ClippedNoise(sigma).share(_around(images))
    weight = (alpha.square() / (1 + alpha.square()) / _MEAN_WEIGHT).expand(-1, 1, *images.shape[-2:])
    level = (sigma * (1 + alpha.square()).sqrt()).expand(-1, 1, *images.shape[-2:])
    condition = level if how.condition else None
    return Corrupted(images + alpha * noise, images - noise / alpha, weight, condition)


def _around(images: Tensor) -> Tensor:
    """The mean of each pixel's surroundings."""
    half = _AROUND // 2
    mode = "reflect" if min(images.shape[-2:]) > half else "replicate"
    return F.avg_pool2d(F.pad(images, (half,) * 4, mode=mode), _AROUND, 1)


def corrupt(images: Tensor, how: axes.Corruption, generator: torch.Generator) -> Corrupted:
    """Apply one corruption to a batch."""
    corrupted: Corrupted = network_of(how)(images, how, generator)
    return corrupted


def leave(images: Tensor, how: axes.NoCorruption, generator: torch.Generator) -> Corrupted:  # noqa: ARG001
    return Corrupted(images, images)


def split_pairs(images: Tensor, how: axes.Pairs, generator: torch.Generator) -> Corrupted:  # noqa: ARG001
    """Pairs `(N, C + outputs, H, W)` → the input and the target; without targets both are the image."""
    if how.outputs is None:
        return Corrupted(images, images)
    return Corrupted(images[:, : -how.outputs], images[:, -how.outputs :])


def add_salt_and_pepper(images: Tensor, how: axes.SaltPepper, generator: torch.Generator) -> Corrupted:
    noise = _uniform(images[:, :1], generator)
    salt = (noise < how.amount / 2).to(images.dtype)
    pepper = (noise > 1 - how.amount / 2).to(images.dtype)
    return Corrupted(images * (1 - salt - pepper) + salt, images)


def count_photons(images: Tensor, how: axes.PoissonNoise, generator: torch.Generator) -> Corrupted:
    counts = torch.poisson(images.clamp_min(0) * how.peak, generator=generator)
    return Corrupted(counts / how.peak, images)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def add_gaussian_noise(images: Tensor, how: axes.GaussianNoise, generator: torch.Generator) -> Corrupted:
    sigma = torch.full((images.shape[0], 1, 1, 1), how.sigma / 255, device=images.device)
    if how.sigma_low is not None:
        low = min(how.sigma_low, how.sigma) / 255
        sigma = low + (sigma - low) * _uniform(sigma, generator)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    noisy = images + sigma * noise
    condition = sigma.expand(-1, 1, *images.shape[-2:]) if how.condition else None
    return Corrupted(noisy.clamp(0, 1) if how.clip else noisy, images, condition=condition)


def hide_blind_spots(images: Tensor, how: axes.BlindSpot, generator: torch.Generator) -> Corrupted:
    """Some pixels are replaced by a neighbour, any of the eight, and must be guessed (Krull et al. 2019).

    Noise that is independent from pixel to pixel cannot be guessed, so the network learns the image. With the
    mean of the neighbours instead, these pixels would be smoother than the rest, and the network would learn
    to change only such pixels.
    """
    hidden = _uniform(images[:, :1], generator) < how.amount
    choice = (_uniform(images[:, :1], generator) * 8).long()
    # Reflected, because a repeated border would show a pixel itself among its neighbours.
    border = "reflect" if min(images.shape[-2:]) > 1 else "replicate"
    padded = F.pad(images, (1, 1, 1, 1), mode=border)
    height, width = images.shape[-2:]
    places = [(row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1)]
    corrupted = images
    for number, (row, column) in enumerate(places):
        there = padded[..., row : row + height, column : column + width]
        corrupted = torch.where(hidden & (choice == number), there, corrupted)
    missing = hidden.float()
    weight = missing / missing.mean((1, 2, 3), keepdim=True).clamp_min(1e-6)
    return Corrupted(corrupted, images, weight)


def mask(images: Tensor, how: axes.Mask, generator: torch.Generator) -> Corrupted:
    n, _, h, w = images.shape
    hidden = masks.hidden((n, h, w), how, generator, images.device)
    weight = None
    if how.loss == "missing":
        missing = hidden.float()
        weight = missing / missing.mean((1, 2, 3), keepdim=True).clamp_min(1e-6)
    return replace(holes(images, hidden, how), target=images, weight=weight)


def holes(images: Tensor, hidden: Tensor, how: axes.Corruption, beyond: Tensor | None = None) -> Corrupted:
    """The input of a model with this corruption: `images (N, C, H, W)` without the `hidden (N, 1, H, W)`
    pixels.

    `beyond` is what `fill` takes for holes larger than its cells.
    """
    visible = ~hidden
    condition = hidden.to(images.dtype) if how.has_condition else None
    corrupted = fill(images, visible, beyond) if how.fills_smoothly else images * visible
    return Corrupted(corrupted, corrupted, None, condition, visible)


def blur(images: Tensor, how: axes.Blur, generator: torch.Generator) -> Corrupted:  # noqa: ARG001
    return Corrupted(blur_gaussian(images, how.sigma), images)


LUMINANCE = (0.299, 0.587, 0.114)
VIDEO_RANGE = 16 / 255, 235 / 255
MCU_SIDE_PX = 16  # of the units in which a file with halved chroma repeats itself
QUALITY_BEFORE = 40, 96


def compress_as_jpeg(images: Tensor, how: axes.Jpeg, generator: torch.Generator) -> Corrupted:
    """Code `images (N, C, H, W)` in [0, 1] and decode them; the target is gray where an image was made so."""
    # Pillow codes one image at a time; there is no batched JPEG to call.
    device, count = images.device, len(images)
    high = max(how.quality_high or how.quality, how.quality)
    qualities = torch.randint(how.quality, high + 1, (count,), generator=generator, device=device).tolist()
    chosen = np.ones((count, 9))
    if how.sampling != "4:2:0" or how.gray or how.shifted or how.twice:
        chosen = torch.rand((count, 9), generator=generator, device=device).cpu().numpy()
    target = images
    if how.gray and images.shape[1] == 3:
        target = torch.stack(
            [
                _to_gray(image, video=row[1] < 0.5) if row[0] < how.gray else image
                for image, row in zip(images, chosen, strict=True)
            ]
        )
    arrays = (target.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    decoded = [
        _corrupt_array(array, quality, how, row)
        for array, quality, row in zip(arrays, qualities, chosen, strict=True)
    ]
    batch = torch.from_numpy(np.stack(decoded)).to(device).permute(0, 3, 1, 2)
    return Corrupted(batch.to(images.dtype) / 255, target)


def _to_gray(image: Tensor, *, video: bool) -> Tensor:
    """`(3, H, W)` with equal channels."""
    weights = torch.tensor(LUMINANCE, device=image.device).view(3, 1, 1)
    gray = (image * weights).sum(0, keepdim=True)
    if video:
        gray = VIDEO_RANGE[0] + (VIDEO_RANGE[1] - VIDEO_RANGE[0]) * gray
    return ((gray.clamp(0, 1) * 255).round() / 255).expand(3, -1, -1)


def _corrupt_array(array: np.ndarray, quality: int, how: axes.Jpeg, row: np.ndarray) -> np.ndarray:
    """One image `(H, W, C)` uint8; `row` holds its nine random numbers in [0, 1)."""
    full = how.sampling == "4:4:4" or (how.sampling == "both" and row[2] < 0.5)
    if row[3] < how.twice:
        low, high = QUALITY_BEFORE
        before = low + round((high - low) * float(row[4]))
        array = _with_offset(array, before, full, (int(row[5] * MCU_SIDE_PX), int(row[6] * MCU_SIDE_PX)))
    offset = (0, 0)
    if row[7] < how.shifted:
        place = int(row[8] * MCU_SIDE_PX**2)
        offset = (place // MCU_SIDE_PX, place % MCU_SIDE_PX)
    return _with_offset(array, quality, full, offset)


def _with_offset(array: np.ndarray, quality: int, full: bool, offset: tuple[int, int]) -> np.ndarray:
    """The image after JPEG, with blocks that begin `offset` (rows, columns) before it."""
    top, left = offset
    mode = "reflect" if top < array.shape[0] and left < array.shape[1] else "edge"
    padded = np.pad(array, ((top, 0), (left, 0), (0, 0)), mode) if top or left else array  # type: ignore[call-overload]
    return code_array(padded, quality, full_chroma=full)[top:, left:]


def code_array(array: np.ndarray, quality: int, *, full_chroma: bool = False) -> np.ndarray:
    """`(H, W, C)` uint8 after JPEG; equal channels as a gray file, others than 3 one by one."""
    if array.shape[2] == 3 and (array == array[..., :1]).all():
        return np.repeat(code_array(array[..., :1], quality), 3, 2)
    planes = [array] if array.shape[2] == 3 else [array[..., i] for i in range(array.shape[2])]
    decoded = []
    for plane in planes:
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, "JPEG", quality=quality, subsampling=0 if full_chroma else 2)
        with Image.open(stream, formats=["JPEG"]) as opened:
            decoded.append(np.asarray(opened))
    return decoded[0] if array.shape[2] == 3 else np.stack(decoded, -1)
