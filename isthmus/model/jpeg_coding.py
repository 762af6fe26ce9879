"""JPEG as a corruption: each image is coded and decoded by Pillow, at a quality of its own.

The blocks of a file begin at its first row and column. Those of an image that was cropped afterwards begin
anywhere: such an image is put behind some mirrored rows and columns that are cut off again. Gray images keep
the luminance of Rec. 601; half of them in the range 16 to 235 that video uses, in which the quality of
restored JPEG files is reported.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from isthmus.model import axes
from isthmus.model.trace import Corrupted

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
    """Coded with blocks that begin `offset` (rows, columns) before the image."""
    top, left = offset
    mode = "reflect" if top < array.shape[0] and left < array.shape[1] else "edge"
    padded = np.pad(array, ((top, 0), (left, 0), (0, 0)), mode) if top or left else array  # type: ignore[call-overload]
    return code_array(padded, quality, full_chroma=full)[top:, left:]


def code_array(array: np.ndarray, quality: int, *, full_chroma: bool = False) -> np.ndarray:
    """`(H, W, C)` uint8 after JPEG at this quality; three equal channels as gray, other counts one by one."""
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
