"""Images given by callers -> torch batches or arrays, and results back as the same kind.

NumPy: (H, W), (H, W, C), (N, H, W), (N, H, W, C). Three dimensions are (H, W, C) when the last is 1, 3, 4 or
the number of channels that a model reads, else (N, H, W); `many` decides otherwise. Torch: (N, C, H, W). An
image file (path, bytes, open file) and a Pillow image are (H, W, C), an ImageSet and a list are (N, H, W, C).
`sample_range` defines which samples are accepted and how they are scaled to [0, 1].
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from isthmus.errors import DataError
from isthmus.images.content import is_encoded
from isthmus.images.flat_rows import suggest_tensor_axes
from isthmus.images.modes import Alpha, composite
from isthmus.images.reading import names_set, read_image, read_samples
from isthmus.images.reading_notes import header_notes, report_reading
from isthmus.images.sample_range import (
    ANYWHERE,
    KINDS,
    NUMPY_FLOATS,
    UNIT,
    Range,
    UnreadablePixelsError,
    check_range,
    check_span,
    to_plain,
)
from isthmus.images.sources import as_source, decode_source, is_pillow, probe_source
from isthmus.images.store import ImageSet
from isthmus.log import log_note

Layout = Literal["HW", "HWC", "NHW", "NHWC"]
_TORCH_KINDS = (torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Kind:
    """The kind of image that a caller passed, so that the result can be of the same kind.

    Attributes:
        dtype: the NumPy or torch sample type.
        layout: order of the axes for NumPy; None for torch.
        device: where the tensor was; None for NumPy.
        value_range: the samples that stood for black and white, where they were mapped.
        picture: whether it was a Pillow image.
    """

    dtype: np.dtype[Any] | torch.dtype
    layout: Layout | None
    device: torch.device | None
    value_range: Range | None = None
    picture: bool = False

    @property
    def is_single(self) -> bool:
        """Whether the caller gave one image rather than a batch."""
        return self.layout in ("HW", "HWC")

    def restore(self, images: Tensor) -> Any:
        """(N, C, H, W) float images -> what the caller gave: library, layout, samples, range, device.

        For integers values are clipped to [0, 1], scaled and rounded. A layout without channels gets a
        channel axis when the images have more than one.

        Raises:
            ValueError: the caller gave one image and `images` holds another number.
        """
        if isinstance(self.dtype, torch.dtype):
            return self.give(_levels(images, self._plain_dtype))
        array: npt.NDArray[Any] = (
            _levels(images.detach().cpu(), self._plain_dtype).permute(0, 2, 3, 1).numpy()
        )
        if self.layout in ("HW", "NHW") and array.shape[3] == 1:
            array = array[..., 0]
        if self.is_single:
            if len(array) != 1:
                raise ValueError(f"one image was given, {len(array)} came out")
            array = array[0]
        return self.give(np.ascontiguousarray(array))

    def give(self, plain: Any) -> Any:
        """An array or tensor as `receive` returned it, in the caller's sample type and range and on the same
        device.
        """
        if isinstance(self.dtype, torch.dtype):
            if self.value_range is not None:
                black, white = self.value_range
                plain = plain.double() * (white - black) + black
                if self.dtype == torch.bool:
                    plain = plain > 0.5
                elif not self.dtype.is_floating_point:
                    limits = torch.iinfo(self.dtype)
                    plain = plain.round().clamp(limits.min, limits.max)
            return plain.to(device=self.device, dtype=self.dtype)
        if self.value_range is not None:
            black, white = self.value_range
            plain = plain.astype(np.float64) * (white - black) + black
            if self.dtype.kind in "iu":
                most = np.iinfo(self.dtype)
                plain = np.rint(plain).clip(most.min, most.max)
            elif self.dtype.kind == "b":
                plain = plain > 0.5
        array = np.asarray(plain, dtype=self.dtype)
        return to_pillow(array) if self.picture else array

    @property
    def _plain_dtype(self) -> torch.dtype:
        """The type of the samples that `receive` returns."""
        if self.value_range is not None:
            return torch.float32
        if isinstance(self.dtype, torch.dtype):
            return self.dtype if self.dtype in _TORCH_KINDS else torch.float32
        native = self.dtype.newbyteorder("=")
        if native.kind == "f" and native not in NUMPY_FLOATS:
            native = np.dtype(np.float64)  # torch has no wider one
        return torch.from_numpy(np.empty(0, dtype=native)).dtype


def to_batch(
    images: Any,
    *,
    many: bool | None = None,
    channels: int | None = None,
    range: Range | None = None,
    bounds: Range = UNIT,
) -> tuple[Tensor, Kind]:
    """Images of any accepted kind as one batch.

    Args:
        images: see the module's first lines.
        many: for three dimensions, True means (N, H, W) and False (H, W, C); None decides by the last axis.
        channels: that the images should have: three dimensions that end in it are one image.
        range: the samples that stand for black and white, in the units of `images`.
        bounds: where floats may lie, once they are mapped.

    Returns:
        (N, C, H, W) float32 with channels-last strides, and the `Kind` that leads back. Gradients pass
        through float tensors.

    Raises:
        DataError: another shape or sample type, no images, NaN, infinity, or samples out of range.
    """
    plain, kind = receive(images, many=many, channels=channels, range=range, bounds=bounds, bands=True)
    if kind.layout is None:
        last = plain.permute(0, 2, 3, 1)
    else:
        plain = plain[..., None] if kind.layout in ("HW", "NHW") else plain
        plain = plain[None] if kind.is_single else plain
        # A copy where torch could not share the memory: read-only, or with negative strides.
        last = torch.from_numpy(np.require(plain, requirements=["C", "W"]))
    values = last.to(torch.float32)
    if not last.is_floating_point():
        values = values / torch.iinfo(last.dtype).max
    return values.contiguous().permute(0, 3, 1, 2), kind


def receive(
    images: Any,
    *,
    many: bool | None = None,
    channels: int | None = None,
    range: Range | None = None,
    bounds: Range = UNIT,
    alpha: Alpha = "composite",
    bands: bool = False,
) -> tuple[Any, Kind]:
    """Images of any accepted kind as NumPy or a tensor, and the `Kind` whose `give` leads back.

    Args:
        images, many, channels, range, bounds: as for `to_batch`.
        alpha: of image files and Pillow images: laid on white, or kept as the last channel.
        bands: also TIFF files of 2 to 64 channels.

    Returns:
        uint8 and uint16 as they are, floats in [0, 1] or the bounds; the caller's layout, the machine's byte
        order; a view where nothing changes.

    Raises:
        DataError: as `to_batch`.
    """
    value_range = check_range(range)
    if isinstance(images, Tensor):
        return _receive_tensor(images, value_range, bounds)
    if _is_set(images):
        samples = read_samples(images, range=value_range, bounds=bounds)
        report_reading(samples)
        if many is False and len(samples) != 1:
            raise DataError(
                "{source}: expected one image, but it holds {images:,}",
                id="data.one-image-needed",
                source=samples.source,
                images=len(samples),
            )
        named = isinstance(images, (str, os.PathLike)) and len(samples) == 1
        pixels = samples.image(0) if named else samples.stack(np.arange(len(samples)))
        return pixels, Kind(pixels.dtype, "HWC" if named else "NHWC", None, value_range)
    array, picture = open_image(images, alpha=alpha, raw=value_range is not None, bands=bands)
    layout: Layout = "HWC" if holds_file(images) else _layout(array, many, channels)
    if 0 in array.shape:
        raise DataError("no pixels in images of shape {shape}", id="data.no-pixels", shape=array.shape)
    if value_range is None and array.dtype.kind == "b":
        value_range = UNIT
    try:
        plain = to_plain(array, value_range, bounds)
    except UnreadablePixelsError as error:
        raise DataError("image {reason}", id="data.image-problem", hint=error.hint, reason=error) from None
    return plain, Kind(array.dtype, layout, None, value_range, picture)


def open_image(
    image: Any, *, alpha: Alpha = "composite", raw: bool = False, bands: bool = False
) -> tuple[Any, bool]:
    """One image as NumPy, or a tensor as it is, and whether it was a Pillow image.

    Args:
        image: an image file's path, bytes or open file, a Pillow image, `mnist:test[17]`; arrays and tensors
            are passed on.
        alpha, bands: as for `receive`.
        raw: wide integers and floats of a file may lie anywhere.

    What is chosen in reading a file is logged, except where alpha is kept.

    Raises:
        DataError: unreadable, or a set of several images.
    """
    if isinstance(image, Tensor):
        return image, False
    if not holds_file(image):
        return np.asarray(image), False
    if _is_set(image) and raw:
        return read_image(read_samples(image, range=UNIT, bounds=ANYWHERE)), False
    if _is_set(image):
        return read_image(image), False
    picture = is_pillow(image)
    image = as_source(image)
    if alpha == "composite":  # uses that keep alpha log omissions themselves
        for note in header_notes(probe_source(image, bands=bands)):
            log_note(note)
    array = decode_source(image, alpha=alpha, raw=raw, bands=bands)
    if picture and array.dtype != np.uint8 and array.shape[2] == 2:
        array = composite(array)  # Pillow has no such image
    return array, picture


def holds_file(value: Any) -> bool:
    """Whether `value` is to be decoded: a path or name, bytes, an open file, or a Pillow image."""
    return isinstance(value, (str, os.PathLike)) or is_encoded(value) or is_pillow(value)


def _is_set(value: Any) -> bool:
    """Whether this names a set, which `read` opens, rather than one image file."""
    if isinstance(value, (list, tuple)):
        shapes = {item.shape for item in value if isinstance(item, np.ndarray)}
        return (
            len(shapes) > 1
            or any(len(shape) == 4 for shape in shapes)
            or any(holds_file(item) or isinstance(item, (ImageSet, Tensor)) for item in value)
        )
    return isinstance(value, ImageSet) or (isinstance(value, (str, os.PathLike)) and names_set(value))


def _receive_tensor(images: Tensor, value_range: Range | None, bounds: Range) -> tuple[Tensor, Kind]:
    if images.ndim != 4:
        raise DataError(
            "a tensor of images must be (N, C, H, W), not {shape}",
            id="data.tensor-shape",
            hint=suggest_tensor_axes(tuple(images.shape)),
            shape=tuple(images.shape),
        )
    if 0 in images.shape:
        raise DataError(
            "no pixels in images of shape {shape}", id="data.no-pixels", shape=tuple(images.shape)
        )
    dtype, device = images.dtype, images.device
    if dtype.is_complex:
        raise DataError(
            "image samples are {dtype}; images must be {kinds}",
            id="data.sample-type",
            dtype=dtype,
            kinds=KINDS,
        )
    if value_range is None and dtype == torch.bool:
        value_range = UNIT
    plain = images
    if value_range is not None:
        plain = images.double()
    elif dtype.is_floating_point and dtype not in _TORCH_KINDS:
        plain = images.float()
    if value_range is not None or dtype not in (torch.uint8, torch.uint16):
        values = plain.detach() if plain.is_floating_point() else plain.double()
        low, high = (float(end) for end in torch.aminmax(values))
        try:
            clips = check_span(low, high, str(dtype).removeprefix("torch."), value_range, bounds=bounds)
        except UnreadablePixelsError as error:
            raise DataError(
                "image {reason}", id="data.image-problem", hint=error.hint, reason=error
            ) from None
        if value_range is not None:
            black, white = value_range
            plain = ((plain - black) / (white - black)).float()
        plain = plain.clamp(*bounds) if clips else plain
    return plain, Kind(dtype, None, device, value_range)


def _layout(array: npt.NDArray[Any], many: bool | None, channels: int | None) -> Layout:
    if array.ndim == 3:
        is_single = array.shape[2] in (1, 3, 4, channels) if many is None else not many
        return "HWC" if is_single else "NHW"
    if array.ndim == 2 and many is not True:
        return "HW"
    if array.ndim == 4 and many is not False:
        return "NHWC"
    expected = {None: "images", True: "many images", False: "one image"}[many]
    raise DataError(
        "{expected} expected, not an array of shape {shape}",
        id="data.array-shape",
        expected=expected,
        shape=array.shape,
    )


def _levels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats in the sample type `dtype`; for integers clipped to [0, 1], scaled and rounded."""
    if dtype.is_floating_point:
        return images.to(dtype)
    top = torch.iinfo(dtype).max
    levels = images.detach().to(torch.float32).clamp(0, 1).mul(top).round()
    return levels.to(torch.int32).to(dtype)


def to_pillow(array: npt.NDArray[Any]) -> Image.Image:
    """(H, W, C) as Pillow has it: 8 bits in L, LA, RGB or RGBA; 16-bit gray, 32-bit integers and floats."""
    plane = array[..., 0] if array.shape[-1] == 1 else array
    if plane.dtype.itemsize > 1 and plane.ndim == 3:  # Pillow has one plane of them at most
        raise DataError(
            "Pillow has no image of {dtype} with {channels} channels: give an array",
            id="data.pillow-cannot",
            dtype=plane.dtype,
            channels=plane.shape[2],
        )
    return Image.fromarray(np.ascontiguousarray(plane))
