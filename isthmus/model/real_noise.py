"""The corruption `real-noise`: noise of random level, colour covariance, signal dependence and spectrum.

Each image goes through a chain whose parts are drawn at random: it may be turned gray, saved as JPEG,
reduced in size; noise is added; it may be enlarged again, clipped, rounded and saved as JPEG. Sources:
camera noise is signal-dependent, with a variance that is affine in the light (Foi et al. 2008, "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data"); demosaicing, colour matrices
and rescaling correlate it (Brooks et al. 2019, "Unprocessing images for learned raw denoising"); Zhang et
al. 2021, "Designing a practical degradation model", draw such chains at random.
"""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from isthmus.model.axes.corruption import RealNoise
from isthmus.model.trace import Corrupted

LUMINANCE = (0.299, 0.587, 0.114)
GAMMA = 2.2
MIN_SIDE_PX = 8  # of an image that can be rescaled
JPEG_QUALITY = 35.0, 98.0
JPEG_QUALITY_BEFORE = 60.0, 95.0
WHITE, COMMON = 0.35, 0.7  # cumulative shares of the kinds of colour covariance
MIN_DEVIATION = 0.05  # of a noise field, below which it is not scaled to deviation 1


class Draws:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.device = generator, generator.device

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator, device=self.device))

    def happens(self, share: float) -> bool:
        return self.uniform() < share

    def uniforms(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def normals(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)


def add_real_noise(images: Tensor, how: RealNoise, generator: torch.Generator) -> Corrupted:
    """Corrupt `images (N, C, H, W)` in [0, 1], each in its own way.

    Returns:
        `input` with noise; `target`, the image without it: gray where the image was turned gray, and soft
        where it was enlarged together with its noise.
    """
    draws = Draws(generator)
    pairs = [_corrupt_image(image, how, draws) for image in images]
    return Corrupted(torch.stack([noisy for noisy, _ in pairs]), torch.stack([clean for _, clean in pairs]))


def _corrupt_image(image: Tensor, how: RealNoise, draws: Draws) -> tuple[Tensor, Tensor]:
    """`(C, H, W)` → with noise, without."""
    size = (image.shape[-2], image.shape[-1])
    is_gray = len(image) == 3 and draws.happens(how.gray)
    clean = image
    if is_gray:
        weights = torch.tensor(LUMINANCE, device=image.device).view(3, 1, 1)
        clean = (image * weights).sum(0, keepdim=True).expand(3, -1, -1)
    noisy = clean
    if draws.happens(how.jpeg_before):
        noisy = compress_jpeg(noisy, draws.uniform(*JPEG_QUALITY_BEFORE), subsample=draws.happens(0.5))
    factor = draws.uniform(1.2, 2.5) if min(size) >= MIN_SIDE_PX and draws.happens(how.rescaled) else None
    if factor is not None:
        small = (round(size[0] / factor), round(size[1] / factor))
        clean, noisy = (resize(part, small).clamp(0, 1) for part in (clean, noisy))
    if not draws.happens(how.clean):
        noisy = noisy + _noise(noisy, how, draws, is_gray=is_gray)
    if factor is not None:
        clean, noisy = resize(clean, size).clamp(0, 1), resize(noisy, size)
    if draws.happens(how.jpeg):
        noisy = compress_jpeg(noisy, draws.uniform(*JPEG_QUALITY), subsample=draws.happens(0.5))
    elif draws.happens(0.9):
        noisy = (noisy.clamp(0, 1) * 255).round() / 255
    return noisy, clean


def _noise(image: Tensor, how: RealNoise, draws: Draws, *, is_gray: bool) -> Tensor:
    """Noise for `image (C, H, W)`; weak noise is drawn more often than strong noise."""
    sigma = how.sigma / 255 * draws.uniform() ** 1.5
    field = noise_field(tuple(image.shape), draws, correlated=how.correlated, is_gray=is_gray)
    noise: Tensor = sigma * field * signal_dependence(image, draws)
    if draws.happens(how.partial):
        noise = noise * _part(image, draws)
    return noise


def noise_field(shape: tuple[int, ...], draws: Draws, *, correlated: float, is_gray: bool = False) -> Tensor:
    """Noise `(C, H, W)` of deviation about 1, the same in all channels of a gray image."""
    channels, height, width = shape
    own = 1 if is_gray else channels
    if draws.happens(correlated):
        field = _spatially_correlated(own, height, width, draws)
        deviation = field.std(correction=0)
        field = field / deviation if float(deviation) > MIN_DEVIATION else field
    else:
        field = draws.normals(own, height, width)
    if own == 3:
        field = (colour_mixture(draws) @ field.flatten(1)).view_as(field)
    return field.expand(channels, -1, -1)


def colour_mixture(draws: Draws) -> Tensor:
    """A matrix `(3, 3)` that gives white noise a random covariance with mean variance 1.

    White; a part common to all channels; or a colour matrix, as a camera applies to its sensor's values.
    """
    kind = draws.uniform()
    matrix = torch.eye(3, device=draws.device)
    if kind < WHITE:
        return matrix
    if kind < COMMON:
        share = 1.0 if draws.happens(0.25) else draws.uniform()
        # (1 − ρ) I + ρ 11ᵀ has this symmetric square root.
        root, common = (1 - share) ** 0.5, (1 + 2 * share) ** 0.5
        matrix = root * matrix + (common - root) / 3
    else:
        matrix = matrix + (1 - matrix) * (draws.uniforms(3, 3) - 0.5)
    if draws.happens(0.4):
        matrix = matrix * torch.exp(draws.uniforms(3, 1) - 0.5)
    return matrix / matrix.square().sum(1).mean().sqrt()


def signal_dependence(image: Tensor, draws: Draws) -> Tensor:
    """Local deviation of the noise of `image (C, H, W)`, 1 at middle gray."""
    kind = draws.uniform()
    value = image.clamp(0, 1)
    if kind < 0.4:
        return torch.ones_like(value)
    if kind < 0.75:
        share = draws.uniform()
        return (1 - share + 2 * share * value).sqrt()
    # Affine in the light, then through the display's curve: strongest in dark tones.
    floor = 10 ** draws.uniform(-3, -0.5)

    def deviation(tone: Tensor) -> Tensor:
        tone = tone.clamp_min(0.06)
        return (floor + tone**GAMMA).sqrt() * tone ** (1 - GAMMA)

    return deviation(value) / deviation(torch.full((), 0.5, device=value.device))


def _spatially_correlated(channels: int, height: int, width: int, draws: Draws) -> Tensor:
    kind = draws.uniform()
    if kind < 0.35:
        return _blurred(draws.normals(channels, height, width), draws.uniform(0.35, 1.4))
    if kind < 0.6 and channels == 3:
        return _demosaiced(height, width, draws)
    if kind < 0.88 and min(height, width) >= MIN_SIDE_PX:
        factor = draws.uniform(1.1, 3.0)
        return resize(draws.normals(channels, round(height / factor), round(width / factor)), (height, width))
    rows = (height, 1) if draws.happens(0.5) else (1, width)
    return draws.uniform(0.3, 1.0) * draws.normals(channels, *rows) + draws.uniform() * draws.normals(
        channels, height, width
    )


def _demosaiced(height: int, width: int, draws: Draws) -> Tensor:
    """Noise of a Bayer sensor after bilinear interpolation: green at two of four places."""
    noise = draws.normals(3, height, width)
    row = torch.arange(height, device=draws.device).view(-1, 1) % 2
    column = torch.arange(width, device=draws.device) % 2
    sampled = torch.stack([(row == 0) & (column == 0), row != column, (row == 1) & (column == 1)])
    gains = torch.tensor([draws.uniform(1.0, 2.0), 1.0, draws.uniform(1.0, 2.0)], device=draws.device)
    tent = torch.tensor([0.5, 1.0, 0.5], device=draws.device)
    kernel = (tent[:, None] * tent).expand(3, 1, 3, 3)
    values, weights = (
        F.conv2d(part[None], kernel, padding=1, groups=3)[0]
        for part in (noise * sampled, sampled.to(noise.dtype))
    )
    # A place that was measured keeps its value.
    return gains.view(3, 1, 1) * torch.where(sampled, noise, values / weights.clamp_min(0.25))


def _blurred(field: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=field.device, dtype=field.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(field[:, None], (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]


def _part(image: Tensor, draws: Draws) -> Tensor:
    """1 on one side of a straight border, less or nothing on the other."""
    side = image.shape[-1] if draws.happens(0.5) else image.shape[-2]
    along = torch.arange(side, device=image.device, dtype=image.dtype) / side
    inside = (along < draws.uniform(0.2, 0.8)) == draws.happens(0.5)
    strength = inside + (0.0 if draws.happens(0.7) else draws.uniform(0, 0.5)) * ~inside
    return strength.view(1, 1, -1) if side == image.shape[-1] else strength.view(1, -1, 1)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """`(C, H, W)` at another size, by bicubic interpolation with antialiasing."""
    return F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)[0]


def compress_jpeg(image: Tensor, quality: float, *, subsample: bool) -> Tensor:
    """`(C, H, W)` in [0, 1] after JPEG compression, on the CPU; `subsample` halves the chroma (4:2:0)."""
    array = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    planes = [array] if array.shape[2] == 3 else [array[..., i] for i in range(array.shape[2])]
    decoded = [_jpeg_plane(plane, round(quality), subsample) for plane in planes]
    out = torch.from_numpy(np.concatenate(decoded, -1)).permute(2, 0, 1)
    return out.to(image.device, image.dtype) / 255


def _jpeg_plane(plane: np.ndarray, quality: int, subsample: bool) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "JPEG", quality=quality, subsampling=2 if subsample else 0)
    with Image.open(stream, formats=["JPEG"]) as opened:
        decoded = np.array(opened)
    return decoded[..., None] if decoded.ndim == 2 else decoded
