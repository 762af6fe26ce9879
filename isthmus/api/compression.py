"""Pictures to small files and back with an autoencoder, and the tables that a model needs for it."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING

from isthmus.api.attachments import check_storable, store_attachments
from isthmus.api.inputs import (
    DataLike,
    ImageLike,
    ModelLike,
    PathLike,
    Range,
    Region,
    check_count,
    load_model,
    read_images_for,
)
from isthmus.api.result import use
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@use
def compress(
    image: ImageLike,
    *,
    model: ModelLike | None = "photo-codec",
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
    range: Range | None = None,
    max_pixels: int = 512_000_000,
) -> bytes:
    """Compress one image to the bytes of a `.isth` file.

    Args:
        image: `(H, W)`, or `(H, W, C)` with C 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha, or a
            tensor `(1, C, H, W)`: uint8, or floats in [0, 1], which are rounded to 8 bits; or the path, the
            bytes or the open file of an image, or a Pillow image, whose colour profile and EXIF are kept (its
            orientation is applied).
        model: a model trained with the recipe `codec`, its file, or the name of a shipped model. The same is
            needed to decompress.
        quality: 1 to 100; 50 unless `bpp` or `psnr` is given.
        bpp: at most this many bits of the file per pixel; where no file is so small, the smallest is made,
            and the log says so.
        psnr: at least this many dB (all channels together, alpha apart); where no quality gives as many, the
            best file is made, and the log says so.
        preview: put a small picture of at most this many pixels a side into the file, which is read without
            model.
        effort: 0 to 100: gradient steps that fit the code to this image. Smaller files at equal fidelity, for
            several times the time; decompressing stays as it is.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        max_pixels: larger images are refused.

    Returns:
        The bytes of the file.

    Raises:
        UsageError: two of `quality`, `bpp` and `psnr`, or one out of range.
        DataError: not an image of 8 bits.
        CapabilityError: a model that cannot compress this.
        ModelFileError: no such model file, or a damaged one.

    Examples:
        >>> import isthmus, numpy as np
        >>> image = np.full((64, 48, 3), 90, dtype=np.uint8)
        >>> isthmus.decompress(isthmus.compress(image, quality=30)).shape
        (64, 48, 3)
    """
    from isthmus.api.compressed_inputs import Dropped, log_dropped_parts
    from isthmus.codec.models import codec_for
    from isthmus.codec.picture import read_picture
    from isthmus.codec.rate_control import check_target, encode_picture

    check_target(quality, bpp, psnr, preview, effort)
    picture = read_picture(image, range=range, max_pixels=max_pixels)
    log_dropped_parts([Dropped("the image", False, picture.lost)])
    if picture.several:
        log_note("the file holds several pictures; this is the first", id="reading.file-several-pictures")
    encoded = encode_picture(
        picture,
        codec_for(model),
        quality=quality,
        bpp=bpp,
        psnr=psnr,
        preview=preview,
        effort=effort,
    )
    if encoded.missed is not None:
        log_note(encoded.missed, log_level=logging.WARNING)
    return encoded.data


@use
def decompress(
    data: bytes | PathLike | IO[bytes],
    *,
    model: ModelLike | None = None,
    region: Region | None = None,
    keep_going: bool = False,
    max_pixels: int = 512_000_000,
) -> npt.NDArray[np.uint8]:
    """Decompress the bytes, or the file, that `compress` made.

    Args:
        data: the bytes, an open file, or the path of a `.isth` file.
        model: the one it was compressed with; by default the shipped one that made the file.
        region: (top, left, height, width) in pixels: only this part is decoded.
        keep_going: paint what is damaged from its surroundings instead of raising.
        max_pixels: larger images are refused from their header.

    Returns:
        uint8: `(H, W)` gray, `(H, W, 2)` with alpha, `(H, W, 3)` colour, `(H, W, 4)` with alpha.

    Raises:
        DataError: not such a file, damaged, or made with another model.
        UsageError: a region outside of the picture.

    Examples:
        >>> import isthmus, numpy as np
        >>> data = isthmus.compress(np.full((64, 48, 3), 90, dtype=np.uint8))
        >>> isthmus.decompress(data).shape
        (64, 48, 3)
    """
    from isthmus.codec import container
    from isthmus.codec.decoding import decode_picture
    from isthmus.codec.facts import read_compressed
    from isthmus.codec.grid import Rectangle
    from isthmus.codec.models import codec_for, codec_that_opens

    content = container.read_container(read_compressed(data), max_pixels=max_pixels, keep_going=keep_going)
    area = None if region is None else Rectangle.of_region(region)
    codec = codec_that_opens(content.header, None if model is None else codec_for(model))
    return decode_picture(content, codec, region=area, keep_going=keep_going).picture.array()


def read_preview(data: bytes | PathLike) -> npt.NDArray[np.uint8] | None:
    """Read the small picture in a `.isth` file, without any model.

    Args:
        data: the bytes, or the path of the file.

    Returns:
        uint8 `(H, W, 3)`, or `(H, W, 4)` with alpha; None where the file has no preview.

    Raises:
        DataError: not such a file, or damaged.

    Examples:
        >>> import isthmus, numpy as np
        >>> data = isthmus.compress(np.full((64, 64, 3), 90, dtype=np.uint8), preview=16)
        >>> isthmus.read_preview(data).shape
        (16, 16, 3)
    """
    from isthmus.codec import container, facts

    return facts.read_preview(container.read_container(facts.read_compressed(data)))


@rename_keywords(images="data")
@use
def fit_codec(
    model: ModelLike,
    data: DataLike,
    *,
    steps: int = 600,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Fit the tables that a model codes its symbols with, and keep them in the model.

    `isthmus.train` does it for the recipe `codec`. Of a path, the tables are stored in the model's file.

    Args:
        model: a model that can compress, or the path of its file.
        data: images like those that will be compressed; those it was trained on will do.
        steps: of the optimiser for the lowest quality.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: decides the crops and their order.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot compress.
        DataError: no images, or none of a kind that the model reads.
        UsageError: a shipped model, whose file stays as it is.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), dtype=np.uint8)
        >>> model = isthmus.train(images, recipe="codec", code="4@8", steps=2)
        >>> isthmus.fit_codec(model, images, steps=20)
    """
    from isthmus.codec.fit import fit_codec_to_images
    from isthmus.codec.stored import ATTACHMENT
    from isthmus.codec.transform import check_codec

    check_count("steps", steps)
    check_storable(model)
    network = load_model(model)
    check_codec(network)
    images = read_images_for(network, data, range=range)
    with start_task(progress, "fitting the tables that files are written with", 1) as task:
        fit_codec_to_images(
            network, images, steps=steps, seed=seed, listener=lambda done, bands: task.update(done / bands)
        )
    store_attachments(model, network, ATTACHMENT)
