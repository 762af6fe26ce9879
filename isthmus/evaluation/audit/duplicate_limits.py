"""Distortions that a near duplicate may have; the audit applies them to some images to fit its limits."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from isthmus.evaluation.audit.alignment import align, tangent_error
from isthmus.evaluation.audit.thumbnails import Thumbnails, fit_descriptor, shrink_pixels
from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.store import ImageSet, Indices, Pixels

Distortion = Callable[[Pixels, np.random.Generator], Pixels]

MAX_CROP_SHARE = 0.05  # share of the height or width that may be cut off on each side

MIN_JPEG_QUALITY = 50

MAX_BRIGHTNESS = 0.1

MAX_SIDE_PX = 256  # canvases are far smaller than this, so larger images are shrunk before they are distorted


def crop(image: Pixels, random: np.random.Generator) -> Pixels:
    """Up to 5 % cut off at each edge, resized back to the same size."""
    height, width = image.shape[:2]
    left, top, right, bottom = random.uniform(0, MAX_CROP_SHARE, 4)
    box = (left * width, top * height, width * (1 - right), height * (1 - bottom))
    return _from_pillow(_to_pillow(image).resize((width, height), Image.Resampling.BILINEAR, box=box), image)


def jpeg(image: Pixels, random: np.random.Generator) -> Pixels:
    """JPEG of a quality from 50 to 95."""
    stream = io.BytesIO()
    _to_pillow(image).save(stream, "JPEG", quality=int(random.integers(MIN_JPEG_QUALITY, 96)))
    return _from_pillow(Image.open(stream), image)


def brightness(image: Pixels, random: np.random.Generator) -> Pixels:
    """Up to 10 % brighter or darker, clipped."""
    factor = random.uniform(1 - MAX_BRIGHTNESS, 1 + MAX_BRIGHTNESS)
    return np.asarray(np.clip(np.rint(image * factor), 0, 255), dtype=np.uint8)


def mirror(image: Pixels, random: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def distort_all(image: Pixels, random: np.random.Generator) -> Pixels:
    """Cropped, made brighter or darker, and saved as JPEG."""
    return jpeg(brightness(crop(image, random), random), random)


KINDS: dict[str, Distortion] = {"crop": crop, "jpeg": jpeg, "brightness": brightness, "mirror": mirror}


def to_levels(image: Pixels) -> Pixels:
    """`(H, W, C)` of any type as uint8, 1 or 3 channels, at most 256 a side: what distortions take.

    Of more than 4 channels those that pictures show.
    """
    image = visible_bands(image) if image.shape[2] > 4 else image
    clipped = np.clip(image, 0, 1) if image.dtype == np.float32 else image
    levels = to_dtype(to_channels(clipped, _channel_count(image)), "u1")
    height, width = levels.shape[:2]
    factor = -(-max(height, width) // MAX_SIDE_PX)
    if factor == 1:
        return levels
    small = _to_pillow(levels).reduce(factor)
    return np.asarray(small).reshape(small.height, small.width, levels.shape[2])


def _channel_count(image: Pixels) -> int:
    return 3 if image.shape[2] > 2 else 1


def _to_pillow(image: Pixels) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _from_pillow(picture: Image.Image, like: Pixels) -> Pixels:
    return np.asarray(picture).reshape(like.shape)


DESCRIPTOR_IMAGES = 4000

LIMIT_PAIRS = 800

PASS_QUANTILE = 0.998

COARSE_STEPS = 1

SIEVE_SLACK = 1.15  # of the cheap sieves, which let more through than they must

ERROR_SLACK = 1.1  # different images are far beyond these limits, so a little slack costs nothing

RELATIVE_SLACK = 1.5

COPIES_PER_IMAGE = 8  # distorted copies of an image that show its usual remaining error

USUAL_PAIRS = 200

USUAL_SLACK = 1.1

MIN_RESIDUAL = 0.5 / 255  # rounding alone leaves this much

MAX_FIT_PIXELS = 2**26  # read for fitting; a few hundred photographs are enough


@dataclass(frozen=True)
class Limits:
    """Largest residues of a near duplicate, on [0, 1]; `usual` is a factor, see the module."""

    tangent: float
    coarse: float
    error: float
    relative: float
    chroma: float
    usual: float


class UsualResidual:
    """The usual remaining error of a distorted image, computed once for each image on request."""

    def __init__(self, images: ImageSet, size: tuple[int, int], seed: int) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._residuals: dict[int, float] = {}

    def __call__(self, indices: Sequence[int] | Indices) -> Tensor:
        """`(N,)`, of the images of these indices; those that are new are measured in one pass."""
        new = [index for index in dict.fromkeys(map(int, indices)) if index not in self._residuals]
        copies = []
        for index in new:
            image = to_levels(self._images.image(index))
            copies.append(_draw_copies(image, self._size, np.random.default_rng([self._seed, index])))
        self._residuals.update(zip(new, _mean_residuals(copies).tolist(), strict=True))
        return torch.tensor([self._residuals[int(index)] for index in indices], dtype=torch.float64)


def fit_limits(
    images: ImageSet,
    drawn: Thumbnails,
    unique: Tensor,
    size: tuple[int, int],
    random: np.random.Generator,
    seed: int,
) -> Limits:
    chosen = _sample_images(images, unique, LIMIT_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(LIMIT_PAIRS, 16 * len(chosen))))
    changed = _distort_images(images, chosen, [*KINDS.values(), distort_all], size, random)
    straight = [n for n in range(len(chosen)) if n % (len(KINDS) + 1) != list(KINDS).index("mirror")]
    first, second = drawn[torch.from_numpy(chosen[straight])], changed[torch.tensor(straight)]
    fine = align(first.gray, second.gray)

    def limit(values: Tensor) -> float:
        return float(values.quantile(PASS_QUANTILE))

    small, small_second = downscale(first.gray), downscale(second.gray)
    every = torch.arange(len(small))
    return Limits(
        tangent=SIEVE_SLACK * limit(tangent_error(small, every, small_second)),
        coarse=SIEVE_SLACK * limit(align(first.gray, second.gray, steps=COARSE_STEPS).error),
        error=ERROR_SLACK * limit(fine.error),
        relative=RELATIVE_SLACK * limit(fine.relative),
        chroma=RELATIVE_SLACK * limit(chroma_error(first.chroma, second.chroma)),
        usual=USUAL_SLACK * _fit_usual_factor(images, unique, size, random, seed),
    )


def fit_set_descriptor(
    images: ImageSet, drawn: Thumbnails, unique: Tensor, size: tuple[int, int], random: np.random.Generator
) -> Tensor:
    chosen = _sample_images(images, unique, DESCRIPTOR_IMAGES, random)
    changed = _distort_images(images, chosen, [distort_all], size, random)
    return fit_descriptor(drawn.gray[chosen], changed.gray)


def _fit_usual_factor(
    images: ImageSet, unique: Tensor, size: tuple[int, int], random: np.random.Generator, seed: int
) -> float:
    """The largest factor between the error of one distortion and the usual error of the same image."""
    chosen = _sample_images(images, unique, USUAL_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(USUAL_PAIRS, 16 * len(chosen))))
    kinds = (KINDS["crop"], KINDS["jpeg"], distort_all)
    pairs, copies = [], []
    for number, index in enumerate(chosen):
        image = to_levels(images.image(int(index)))
        changed = kinds[number % len(kinds)](image, random)
        pairs.append(_draw_pairs(image, [changed], size))
        copies.append(_draw_copies(changed, size, random))
    # One call aligns all pairs: one for each image costs ten times as much.
    usual = (UsualResidual(images, size, seed)(chosen) + _mean_residuals(copies)) / 2
    return float((_residuals(pairs) / usual).max())


def _mean_residuals(copies: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """`(N,)`, the mean residual of the `COPIES_PER_IMAGE` copies of each image."""
    return _residuals(copies).view(-1, COPIES_PER_IMAGE).mean(1) + MIN_RESIDUAL


def _residuals(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    if not pairs:
        return torch.zeros(0, dtype=torch.float64)
    first, second = (torch.cat(side) for side in zip(*pairs, strict=True))
    return align(first, second).error.double()


def _draw_copies(image: Pixels, size: tuple[int, int], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    return _draw_pairs(image, [distort_all(image, random) for _ in range(COPIES_PER_IMAGE)], size)


def _draw_pairs(image: Pixels, changed: list[Pixels], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """An image, as often as it was changed, and its changed copies, as thumbnails `(n, h, w)`."""
    drawn = shrink_pixels(np.stack([image, *changed]), size).gray
    return drawn[:1].expand(len(changed), -1, -1), drawn[1:]


def _sample_images(images: ImageSet, unique: Tensor, most: int, random: np.random.Generator) -> Indices:
    pixels = max(1, int(np.mean([images.image(int(i)).size for i in unique[:100]])))
    count = min(len(unique), most, max(16, MAX_FIT_PIXELS // pixels))
    return np.asarray(unique.numpy()[random.choice(len(unique), count, replace=False)])


def _distort_images(
    images: ImageSet,
    chosen: Indices,
    kinds: list[Distortion],
    size: tuple[int, int],
    random: np.random.Generator,
) -> Thumbnails:
    distorted = [
        shrink_pixels(kinds[n % len(kinds)](to_levels(images.image(int(index))), random)[None], size)
        for n, index in enumerate(chosen)
    ]
    return Thumbnails(torch.cat([m.gray for m in distorted]), torch.cat([m.chroma for m in distorted]))


def downscale(gray: Tensor) -> Tensor:
    return F.avg_pool2d(gray[:, None], 2, ceil_mode=True)[:, 0] if min(gray.shape[-2:]) >= 16 else gray


def chroma_error(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).flatten(1).square().mean(1).sqrt() + 1e-6
