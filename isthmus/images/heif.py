"""HEIC and HEIF, as phones write photographs: read where pillow-heif is installed (extra `formats`)."""

from __future__ import annotations

import importlib.util
import io
import re
from typing import IO, Any

import numpy as np
from PIL import Image

from isthmus.images.store import Pixels

SUFFIXES = (".heic", ".heif", ".hif")
BEGINNING = rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"
IS_READ = importlib.util.find_spec("pillow_heif") is not None
_BEGINNING_BYTES = 12


def open_image(stream: IO[bytes], formats: tuple[str, ...]) -> Image.Image:
    """The image in an open file of one of Pillow's formats, or HEIF, which libheif turns upright.

    Raises:
        OSError: of another kind.
    """
    try:
        return Image.open(stream, formats=formats)
    except OSError:
        stream.seek(0)
        if not (IS_READ and re.match(BEGINNING, stream.read(_BEGINNING_BYTES), re.DOTALL)):
            raise
    stream.seek(0)
    from pillow_heif import HeifImageFile

    # Not registered with Pillow: that would change what other code in this process opens.
    image: Image.Image = HeifImageFile(stream)  # type: ignore[no-untyped-call]
    return image


def decode_deep(content: bytes, bits: int) -> Pixels:
    """The picture of a file of more than 8 bits, `(H, W, C)` uint16 below `2**bits`."""
    from pillow_heif import open_heif

    image: Any = open_heif(io.BytesIO(content), convert_hdr_to_8bit=False)
    samples: Pixels = np.asarray(image)
    return samples >> (16 - bits)  # libheif fills the upper bits
