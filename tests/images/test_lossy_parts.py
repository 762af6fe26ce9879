"""Which files do not keep every sample."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.images.sources import lossy_parts

from .files import photo

FRAMES = [Image.fromarray(photo(16, 20, 4, seed=seed)) for seed in range(2)]


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("profile", [b"", b"VP8 ", b"VP8L odd", bytes(70_001)])
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("opaque", [False, True])
def test_streams_of_webp(profile: bytes, frames: int, *, lossless: bool, opaque: bool) -> None:
    pictures = [frame.convert("RGB") if opaque else frame for frame in FRAMES[:frames]]
    more: dict[str, Any] = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    stream = io.BytesIO()
    pictures[0].save(stream, "WEBP", lossless=lossless, icc_profile=profile, **more)
    assert profile in stream.getvalue()
    read_back = np.asarray(Image.open(stream).convert("RGB"))
    assert np.array_equal(read_back, np.asarray(pictures[0].convert("RGB"))) == lossless
    assert lossy_parts(stream.getvalue()) == (not lossless, False)
