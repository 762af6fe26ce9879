"""Every image as one small gray picture and a few numbers of colour: what duplicates are looked for in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.store import ImageSet, Pixels

SIDE = 32
CHROMA = 4
BATCH = 1024


@dataclass(frozen=True)
class Canvases:
    """N images, each resized (not cropped) to one size.

    Attributes:
        gray: `(N, h, w)` float32 luma in [0, 1].
        chroma: `(N, 2, 4, 4)` blue and red difference, means of a grid; zero for gray images.
    """

    gray: Tensor
    chroma: Tensor

    def __len__(self) -> int:
        return len(self.gray)

    def mirrored(self) -> Canvases:
        """Left and right exchanged."""
        return Canvases(self.gray.flip(2), self.chroma.flip(3))

    def __getitem__(self, indices: Tensor) -> Canvases:
        return Canvases(self.gray[indices], self.chroma[indices])


def canvas_size(images: ImageSet) -> tuple[int, int]:
    """At most 32×32; smaller images keep their size."""
    if images.shape is None:
        return SIDE, SIDE
    return min(SIDE, images.shape[0]), min(SIDE, images.shape[1])


def canvases(images: ImageSet, size: tuple[int, int]) -> Canvases:
    """All images of a set, in order."""
    parts = [of_pixels(batch, size) for batch in _batches(images)]
    return Canvases(torch.cat([p.gray for p in parts]), torch.cat([p.chroma for p in parts]))


def of_pixels(pixels: Pixels, size: tuple[int, int]) -> Canvases:
    """`(N, H, W, C)` of any sample type; of more than 4 channels those that pictures show."""
    pixels = visible_bands(pixels) if pixels.shape[-1] > 4 else pixels
    channels = 3 if pixels.shape[-1] > 2 else 1
    values = torch.from_numpy(to_dtype(to_channels(pixels, channels), np.float32)).permute(0, 3, 1, 2)
    values = values.clamp(0, 1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # ITU-R BT.601, section 2.5.1
    luma = (values * weights).sum(1, keepdim=True) if channels == 3 else values
    gray = luma
    if luma.shape[-2:] != size:
        gray = F.interpolate(luma, size, mode="bilinear", antialias=True, align_corners=False)
    chroma = torch.zeros(len(values), 2, CHROMA, CHROMA)
    if channels == 3:
        chroma = F.adaptive_avg_pool2d(torch.cat([values[:, 2:] - luma, values[:, :1] - luma], 1), CHROMA)
    return Canvases(gray[:, 0].contiguous(), chroma)


def _batches(images: ImageSet) -> Iterator[Pixels]:
    if images.shape is None:
        for index in range(len(images)):
            yield images.image(index)[None]
        return
    pixels = int(np.prod(images.shape))
    step = max(1, min(BATCH, 2**24 // pixels))
    for start in range(0, len(images), step):
        yield images.stack(np.arange(start, min(start + step, len(images))))
