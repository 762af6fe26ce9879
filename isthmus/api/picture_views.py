"""What interactive interfaces show of single images: pixels in and out, before and after, coders compared."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isthmus.api.inputs import ModelLike, load_model
from isthmus.errors import DataError
from isthmus.images.listing import walk_folder
from isthmus.images.opening import SUFFIXES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.model.autoencoder import Autoencoder as Autoencoder  # for annotations of what uses this

    Picture = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = SUFFIXES
CoderKind = Literal["jpeg", "webp", "avif"]
_MAX_CODE_BARS = 512
_SEARCH_STEPS = 7  # of 100 qualities


@dataclass(frozen=True)
class ImageView:
    """One image as a model sees it.

    Attributes:
        image: `(H, W, C)` uint8, as the model reads it.
        reconstruction: of the same shape, where the model gives the channels that it reads.
        psnr: in dB; None where both are equal or have other channels.
        ssim: in [-1, 1].
        code: its numbers, of a grid the root mean square of each channel; at most 512.
        code_shape: such as `(64,)` or `(32, 4, 4)`.
        resized: whether the image was brought to the model's size.
    """

    image: Picture
    reconstruction: Picture
    psnr: float | None
    ssim: float | None
    code: tuple[float, ...]
    code_shape: tuple[int, ...]
    resized: bool


@dataclass(frozen=True)
class CodedPicture:
    """An image after a coder.

    Attributes:
        pixels: what comes out of it.
        bytes: size of the file.
        quality: of the coder's own scale.
        psnr: in dB; None where nothing was lost.
    """

    pixels: Picture
    bytes: int
    quality: int
    psnr: float | None


def read_picture(source: bytes | Path, *, max_pixels: int, colour: bool | None = None) -> Picture:
    """One image file's pixels, in 8 bits; alpha is laid on white.

    Args:
        max_pixels: a larger image is refused from its header, before it is decoded.
        colour: True gives three channels, False one, None as many as the file has.

    Returns:
        `(H, W, C)` uint8.

    Raises:
        DataError: no image, damaged, of several pages, or too large.
    """
    from isthmus.images.conform import to_dtype
    from isthmus.images.reading import read_image

    channels = None if colour is None else 3 if colour else 1
    pixels = read_image(source, channels=channels, max_pixels=max_pixels)
    if pixels.shape[2] not in (1, 3):
        pixels = read_image(source, channels=3 if pixels.shape[2] > 3 else 1, max_pixels=max_pixels)
    return _as_bytes(to_dtype(pixels, "uint8"))


def encode_picture(pixels: npt.NDArray[Any]) -> bytes:
    """`(H, W, C)` uint8 as the bytes of a PNG file."""
    from isthmus.images.write import encode_image

    return encode_image("picture.png", pixels)


def view_image(model: ModelLike, picture: Picture) -> ImageView:
    """Reconstruct one image, and measure how faithful the reconstruction is.

    Args:
        picture: `(H, W, C)` uint8, of any size: of a model with a vector code it is brought to the model's.

    Raises:
        ModelFileError: see `isthmus.load`.
        CapabilityError: the model reads images of other channels.
    """
    import numpy as np

    network = load_model(model)
    image, resized = fit_picture(network, picture)
    code = network.encode(image)
    values = np.asarray(code)[0]
    bars = values if values.ndim == 1 else np.sqrt(np.square(values).mean(axis=tuple(range(1, values.ndim))))
    reconstruction = _as_bytes(network.reconstruct(image))
    psnr, similarity = (
        (None, None) if reconstruction.shape != image.shape else measure_pair(reconstruction, image)
    )
    return ImageView(
        image,
        reconstruction,
        psnr,
        similarity,
        tuple(float(number) for number in bars[:_MAX_CODE_BARS]),
        tuple(int(number) for number in values.shape),
        resized,
    )


def fit_picture(network: Autoencoder, picture: Picture) -> tuple[Picture, bool]:
    """The image with the model's channels and, for a vector code, its size; and whether the size changed.

    Raises:
        DataError: the model reads images of other channels than gray or colour.
    """
    from isthmus.images.reading import read

    if network.channels not in (1, 3):
        raise DataError(
            "this model reads images of {channels} channels; pictures have 1 or 3",
            id="picture.channels",
            channels=network.channels,
        )
    target_size = None if network.recipe.geometry.is_grid else network.size
    resized = target_size is not None and picture.shape[:2] != tuple(target_size)
    images = read(picture, channels=network.channels, size=target_size if resized else None)
    return _as_bytes(images.image(0)), resized


def measure_pair(picture: Picture, target: Picture) -> tuple[float | None, float]:
    """PSNR in dB, None for equal images, and SSIM."""
    import math

    import torch

    from isthmus.metrics.pixel_metrics import psnr
    from isthmus.metrics.structure import ssim_of_pictures

    pair = [
        torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255 for array in (picture, target)
    ]
    decibels = float(psnr(*pair))
    return (decibels if math.isfinite(decibels) else None), ssim_of_pictures(picture, target)


def amplify_difference(picture: Picture, target: Picture, gain: float = 4.0) -> Picture:
    """The absolute difference of two images, `gain` times as strong."""
    import numpy as np

    apart = np.abs(picture.astype(np.float32) - target.astype(np.float32)) * gain
    return np.clip(apart, 0, 255).astype(np.uint8)


def estimate_noise(picture: Picture) -> float | None:
    """Standard deviation of the noise in units of 1/255; None where the image is too small to estimate it."""
    from isthmus.metrics.noise import estimate_sigma

    try:
        return float(estimate_sigma(picture))
    except DataError:
        return None


def encode_within(picture: Picture, coder: CoderKind, max_bytes: int) -> CodedPicture:
    """The best file of another coder that is no larger than `max_bytes`, or its smallest one.

    Its quality is searched for by halving.
    """
    low, high = 1, 95
    best = _encode(picture, coder, low)
    for _ in range(_SEARCH_STEPS):
        if low > high:
            break
        middle = (low + high) // 2
        candidate = _encode(picture, coder, middle)
        if candidate[1] <= max_bytes:
            best, low = candidate, middle + 1
        else:
            high = middle - 1
    quality, size, content = best
    pixels = read_picture(
        content, max_pixels=picture.shape[0] * picture.shape[1], colour=picture.shape[2] == 3
    )
    return CodedPicture(pixels, size, quality, measure_pair(pixels, picture)[0])


def _encode(picture: Picture, coder: CoderKind, quality: int) -> tuple[int, int, bytes]:
    from PIL import Image

    options: dict[CoderKind, dict[str, Any]] = {
        "jpeg": {"format": "JPEG", "optimize": True},
        "webp": {"format": "WEBP", "method": 4},
        "avif": {"format": "AVIF", "speed": 8},
    }
    stream = io.BytesIO()
    squeezed = picture[..., 0] if picture.shape[2] == 1 else picture
    Image.fromarray(squeezed).save(stream, quality=quality, **options[coder])
    content = stream.getvalue()
    return quality, len(content), content


def shrink_picture(picture: Picture, side: int) -> Picture:
    """The image at most `side` pixels wide and high; smaller ones as they are."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((side, side))
    small = np.asarray(image)
    return small[..., None] if small.ndim == 2 else small


def draw_pairs(pictures: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> bytes:
    """Images `(N, H, W, C)` above what a model made of them, as a PNG file; small ones are enlarged."""
    from isthmus.images.bands import visible_bands
    from isthmus.images.conform import to_dtype
    from isthmus.images.write import enlarge, grid

    rows = [to_dtype(visible_bands(image), "uint8") for image in (*pictures, *outputs)]
    factor = max(1, 96 // max(rows[0].shape[:2]))
    return encode_picture(grid([enlarge(image, factor) for image in rows], len(pictures), gap=4))


def paint_heat(picture: Picture, heat: npt.NDArray[Any], scale: float) -> Picture:
    """A heat map over an image that is shown in gray: transparent at 0, yellow to red at `scale` and above.

    Args:
        heat: `(H, W)`, of the image's size or another.
    """
    import numpy as np
    from PIL import Image

    height, width = picture.shape[:2]
    share = np.clip(heat / scale if scale > 0 else np.zeros_like(heat), 0, 1).astype(np.float32)
    if share.shape != (height, width):
        resized = Image.fromarray(share).resize((width, height), Image.Resampling.BILINEAR)
        share = np.asarray(resized)
    gray = picture.astype(np.float32).mean(2, keepdims=True)
    hot = np.stack([np.full_like(share, 255), 210 * (1 - share), 40 * (1 - share)], axis=2)
    opacity = 0.85 * share[..., None]
    painted: Picture = (gray * (1 - opacity) + hot * opacity).round().astype(np.uint8)
    return painted


def _as_bytes(pixels: npt.NDArray[Any]) -> Picture:
    import numpy as np

    return np.ascontiguousarray(pixels, dtype=np.uint8)


def list_links(folder: Path) -> Iterator[Path]:
    """Every folder that a use of `folder` reads images from, also behind links, and links to files in it."""
    for place, _, files in walk_folder(folder, []):
        yield Path(place)
        yield from (path for name in files if (path := Path(place, name)).is_symlink())
