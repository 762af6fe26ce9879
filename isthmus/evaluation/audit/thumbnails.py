"""Every image as a small gray picture, stretched to the whole range: what duplicates are looked for in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.mapped import room
from isthmus.images.store import ImageSet, Pixels, Ragged
from isthmus.model.tensors import resize_images

THUMBNAIL_SIDE_PX = 32

CHROMA_SIDE_PX = 4

BATCH = 1024


@dataclass(frozen=True)
class Thumbnails:
    """N images, each resized (not cropped) to one size.

    Attributes:
        gray: `(N, h, w)` float32 luma in [0, 1].
        chroma: `(N, 2, 4, 4)` blue and red difference, means of a grid; zero for gray images.
    """

    gray: Tensor
    chroma: Tensor

    def __len__(self) -> int:
        return len(self.gray)

    def mirrored(self) -> Thumbnails:
        """Left and right exchanged."""
        return Thumbnails(self.gray.flip(2), self.chroma.flip(3))

    def __getitem__(self, indices: Tensor) -> Thumbnails:
        return Thumbnails(self.gray[indices], self.chroma[indices])


def thumbnail_size(images: ImageSet) -> tuple[int, int]:
    """At most 32×32; smaller images keep their size."""
    if images.shape is None:
        return THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX
    return min(THUMBNAIL_SIDE_PX, images.shape[0]), min(THUMBNAIL_SIDE_PX, images.shape[1])


def make_thumbnails(images: ImageSet, size: tuple[int, int]) -> Thumbnails:
    """All images of a set, in order."""
    parts = [shrink_pixels(batch, size) for batch in _batches(images)]
    return Thumbnails(torch.cat([p.gray for p in parts]), torch.cat([p.chroma for p in parts]))


def shrink_pixels(pixels: Pixels, size: tuple[int, int]) -> Thumbnails:
    """`(N, H, W, C)` of any sample type; of more than 4 channels those that pictures show."""
    pixels = visible_bands(pixels) if pixels.shape[-1] > 4 else pixels
    channels = 3 if pixels.shape[-1] > 2 else 1
    values = torch.from_numpy(to_dtype(to_channels(pixels, channels), np.float32)).permute(0, 3, 1, 2)
    values = values.clamp(0, 1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # ITU-R BT.601, section 2.5.1
    luma = (values * weights).sum(1, keepdim=True) if channels == 3 else values
    gray = resize_images(luma, size)
    chroma = torch.zeros(len(values), 2, CHROMA_SIDE_PX, CHROMA_SIDE_PX)
    if channels == 3:
        chroma = F.adaptive_avg_pool2d(
            torch.cat([values[:, 2:] - luma, values[:, :1] - luma], 1), CHROMA_SIDE_PX
        )
    return Thumbnails(gray[:, 0].contiguous(), chroma)


def _batches(images: ImageSet) -> Iterator[Pixels]:
    if images.shape is None:
        for index in range(len(images)):
            yield images.image(index)[None]
        return
    pixels = int(np.prod(images.shape))
    step = max(1, min(BATCH, 2**24 // pixels))
    for start in range(0, len(images), step):
        yield images.stack(np.arange(start, min(start + step, len(images))))


MAX_NUMBERS = 64

_RIDGE = 1e-2


def fit_descriptor(clean: Tensor, distorted: Tensor) -> Tensor:
    """The projection `(h·w, d)`, d ≤ 64.

    Args:
        clean: `(n, h, w)` gray canvases; distorted: the same images after a harmless change.
    """
    a, b = normalise(clean).double(), normalise(distorted).double()
    noise = (b - a).T @ (b - a) / len(a)
    signal = a.T @ a / len(a)
    size = len(noise)
    noise += torch.eye(size, dtype=noise.dtype) * (noise.trace() / size * _RIDGE + 1e-9)
    lower = torch.linalg.cholesky(noise)
    half = torch.linalg.solve_triangular(lower, signal, upper=False)
    whitened = torch.linalg.solve_triangular(lower, half.T, upper=False)
    vectors = torch.linalg.eigh((whitened + whitened.T) / 2).eigenvectors.flip(1)
    projection: Tensor = torch.linalg.solve_triangular(lower.T, vectors[:, :MAX_NUMBERS], upper=True)
    return projection.float()


def compute_descriptors(gray: Tensor, projection: Tensor) -> Tensor:
    """`(N, h, w)` → `(N, d)`."""
    parts = [normalise(part) @ projection for part in torch.split(gray, 8192)]
    return torch.cat(parts)


def normalise(gray: Tensor) -> Tensor:
    """`(N, h, w)` → `(N, h·w)` without brightness and contrast; what is nearly flat stays small."""
    flat = gray.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    scaled: Tensor = flat / (flat.norm(dim=1, keepdim=True) + 1e-3 * flat.shape[1] ** 0.5)
    return scaled


MAX_CANDIDATES = 10

BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Candidates:
    """Pairs of image indices, `first < second`, each pair at most once per orientation.

    Attributes:
        first, second: `(P,)` int64.
        mirrored: `(P,)` bool: one of the two is to be mirrored.
    """

    first: Tensor
    second: Tensor
    mirrored: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: Tensor) -> Candidates:
        return Candidates(self.first[chosen], self.second[chosen], self.mirrored[chosen])


def find_candidates(
    own: Tensor,
    mirrored: Tensor,
    *,
    done: Callable[[int], None] = lambda _: None,
) -> Candidates:
    """Every image with its nearest others in both orientations.

    Args:
        own, mirrored: `(N, d)` descriptors of the images as they are and mirrored.
        done: called with the number of images of each block.
    """
    count = len(own)
    nearest = min(MAX_CANDIDATES, count - 1)
    if nearest < 1:
        none = torch.zeros(0, dtype=torch.int64)
        return Candidates(none, none, none.bool())
    squares = own.square().sum(1)
    keys = []
    for start in range(0, count, BLOCK_ROWS):
        rows = torch.arange(start, min(start + BLOCK_ROWS, count))
        for turned, queries in enumerate((own, mirrored)):
            distances = torch.addmm(squares[None], queries[rows], own.T, alpha=-2)
            distances[torch.arange(len(rows)), rows] = float("inf")  # a mirrored image may be like itself
            neighbours = distances.topk(nearest, largest=False, sorted=False).indices
            ours = rows[:, None].expand_as(neighbours)
            low, high = torch.minimum(ours, neighbours), torch.maximum(ours, neighbours)
            keys.append(((low * count + high) * 2 + turned).flatten())
        done(len(rows))
    unique = torch.unique(torch.cat(keys))
    pair = unique // 2
    return Candidates(pair // count, pair % count, unique % 2 == 1)


MIN_FACTOR = 2.0  # samples that use half of the range are compared as they are
WHITE_QUANTILE = 0.9999  # of the samples: a few hot pixels do not make a set bright
MAX_SAMPLES = 2**22  # that the quantile is of, evenly spaced
_AT_ONCE = 2**22  # samples that are stretched in one step


def stretch_samples(images: ImageSet) -> ImageSet:
    """The images with all samples multiplied by one factor, so that the brightest are near white.

    Images of uint8, and those that are bright already, come back as they are.
    """
    if images.dtype == np.uint8:
        return images
    flat: Pixels = images.pixels.flat if isinstance(images.pixels, Ragged) else images.pixels.reshape(-1)
    top = 1.0 if images.dtype == np.float32 else float(np.iinfo(images.dtype).max)
    white = float(np.quantile(flat[:: max(1, len(flat) // MAX_SAMPLES)], WHITE_QUANTILE))
    if white <= 0 or top / white < MIN_FACTOR:
        return images
    result = room(flat.shape, images.dtype)
    for start in range(0, len(flat), _AT_ONCE):
        part = (flat[start : start + _AT_ONCE].astype(np.float64) * (top / white)).clip(0, top)
        result[start : start + _AT_ONCE] = part if images.dtype == np.float32 else np.rint(part)
    if isinstance(images.pixels, Ragged):
        pixels: Pixels | Ragged = Ragged(result, images.pixels.offsets, images.pixels.shapes)
    else:
        pixels = result.reshape(images.pixels.shape)
    return replace(images, pixels=pixels)
