"""Arrays given by callers -> torch batches, and results back as the same kind.

NumPy: (H, W), (H, W, C), (N, H, W), (N, H, W, C). Three dimensions are (H, W, C) when the last is 1, 3 or 4,
else (N, H, W); `many` decides otherwise. Torch: (N, C, H, W). uint8 and uint16 are scaled to [0, 1]; floats
are taken as they are and may lie outside [0, 1] as noisy input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError

Layout = Literal["HW", "HWC", "NHW", "NHWC"]
_NUMPY_KINDS = (np.uint8, np.uint16, np.float16, np.float32, np.float64)
_TORCH_KINDS = (torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Kind:
    """What a caller gave, so that the answer can be the same kind.

    Attributes:
        dtype: the NumPy or torch sample type.
        layout: order of the axes for NumPy; None for torch.
        device: where the tensor was; None for NumPy.
    """

    dtype: np.dtype[Any] | torch.dtype
    layout: Layout | None
    device: torch.device | None

    @property
    def one(self) -> bool:
        """Whether the caller gave one image rather than a batch."""
        return self.layout in ("HW", "HWC")

    def restore(self, images: torch.Tensor) -> Any:
        """(N, C, H, W) float images -> what the caller gave: library, layout, sample type, device.

        For uint8 and uint16 values are clipped to [0, 1], scaled and rounded. A layout without channels gets
        a channel axis when the images have more than one.

        Raises:
            ValueError: the caller gave one image and `images` holds another number.
        """
        if isinstance(self.dtype, torch.dtype):
            return _narrowed(images, self.dtype).to(self.device)
        wanted = torch.from_numpy(np.empty(0, dtype=self.dtype)).dtype
        array: npt.NDArray[Any] = _narrowed(images.detach().cpu(), wanted).permute(0, 2, 3, 1).numpy()
        if self.layout in ("HW", "NHW") and array.shape[3] == 1:
            array = array[..., 0]
        if self.one:
            if len(array) != 1:
                raise ValueError(f"one image was given, {len(array)} came out")
            array = array[0]
        return np.ascontiguousarray(array)


def to_batch(images: Any, *, many: bool | None = None) -> tuple[torch.Tensor, Kind]:
    """Images of any accepted kind as one batch.

    Args:
        images: see the module's first lines; uint8, uint16, or floats (float16, bfloat16, float32, float64).
        many: for three dimensions, True means (N, H, W) and False (H, W, C); None decides by the last axis.

    Returns:
        (N, C, H, W) float32 with channels-last strides, and the `Kind` that leads back. Gradients pass
        through float tensors.

    Raises:
        DataError: another shape or sample type, no images, NaN or infinity.
    """
    if isinstance(images, torch.Tensor):
        kind = Kind(images.dtype, None, images.device)
        if images.ndim != 4:
            raise DataError(f"a tensor of images must be (N, C, H, W), not {tuple(images.shape)}")
        if images.dtype not in _TORCH_KINDS:
            raise DataError(f"image samples must be uint8, uint16 or float, not {images.dtype}")
        last = images.permute(0, 2, 3, 1)
    else:
        array = np.asarray(images)
        layout = _layout(array, many)
        if array.dtype not in _NUMPY_KINDS:
            raise DataError(f"image samples must be uint8, uint16 or float, not {array.dtype}")
        kind = Kind(array.dtype, layout, None)
        if layout in ("HW", "NHW"):
            array = array[..., None]
        array = array[None] if kind.one else array
        # A copy where torch could not share the memory: read-only, or with negative strides.
        last = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    if 0 in last.shape:
        raise DataError(f"no pixels in images of shape {tuple(images.shape)}")
    values = last.to(torch.float32)
    if not last.is_floating_point():
        values = values / torch.iinfo(last.dtype).max
    elif not bool(torch.isfinite(values).all()):
        raise DataError("NaN or infinity among the image samples")
    return values.contiguous().permute(0, 3, 1, 2), kind


def _layout(array: npt.NDArray[Any], many: bool | None) -> Layout:
    if array.ndim == 3:
        one = array.shape[2] in (1, 3, 4) if many is None else not many
        return "HWC" if one else "NHW"
    if array.ndim == 2 and many is not True:
        return "HW"
    if array.ndim == 4 and many is not False:
        return "NHWC"
    expected = {None: "images", True: "many images", False: "one image"}[many]
    raise DataError(f"{expected} expected, not an array of shape {array.shape}")


def _narrowed(images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point:
        return images.to(dtype)
    top = torch.iinfo(dtype).max
    levels = images.detach().to(torch.float32).clamp(0, 1).mul(top).round()
    return levels.to(torch.int32).to(dtype)
