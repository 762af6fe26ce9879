"""How close a file is to its picture: PSNR and SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus.codec import container
from isthmus.codec.decoding import iter_pieces
from isthmus.codec.picture import Picture
from isthmus.codec.ready import Codec
from isthmus.metrics.structure import ssim_of_pictures

Pixels = npt.NDArray[np.uint8]

MAX_PSNR_DB = 100.0  # of equal pictures


@dataclass(frozen=True, eq=False)
class Fidelity:
    """What a file keeps of its picture.

    Attributes:
        psnr: in dB, at most 100, over all channels but alpha.
        ssim: structural similarity, at most 1, averaged over the same channels.
        pixels: what the file decodes to, uint8 (H, W, channels), without alpha.
    """

    psnr: float
    ssim: float
    pixels: Pixels


def measure_psnr(data: bytes, image: Picture, codec: Codec) -> float:
    """PSNR in dB of what is in a file against the picture it was made from, at most 100.

    The file is decoded; its pieces are compared one by one, so that no second picture is in memory.

    Raises:
        CompressedFileError: it cannot be decoded.
    """
    total = 0
    for where, piece in iter_pieces(container.read_container(data), codec):
        total += _sum_squares(piece, image.pixels[where.slices])
    return _to_psnr(total, image.pixels.size)


def measure_fidelity(data: bytes, image: Picture, codec: Codec) -> Fidelity:
    """All of `Fidelity`, from the file decoded as a whole.

    Raises:
        CompressedFileError: it cannot be decoded.
    """
    pixels = np.empty_like(image.pixels)
    total = 0
    for where, piece in iter_pieces(container.read_container(data), codec):
        pixels[where.slices] = piece
        total += _sum_squares(piece, image.pixels[where.slices])
    return Fidelity(_to_psnr(total, pixels.size), ssim_of_pictures(pixels, image.pixels), pixels)


def _sum_squares(first: Pixels, second: Pixels) -> int:
    difference = first.astype(np.int32) - second
    return int((difference * difference).sum(dtype=np.int64))


def _to_psnr(total: int, samples: int) -> float:
    mean = total / samples / 255**2
    return MAX_PSNR_DB if mean <= 1e-10 else -10 * math.log10(mean)
