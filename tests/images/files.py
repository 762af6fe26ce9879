"""Image files made for a test, written with Pillow alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def photo(height: int, width: int, channels: int = 3, *, seed: int = 0) -> np.ndarray:
    """A smooth picture with some noise: (H, W, C) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 7 + c) + np.cos(y / (5 + c)) for c in range(channels)]
    values = 128 + 50 * np.stack(waves, axis=-1) + random.normal(0, 4, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    plane = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    Image.fromarray(plane).save(path, **options)
    return path


def bomb(path: Path, height: int, width: int) -> Path:
    """A PNG of a few bytes whose header promises `height` × `width` pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def cut(path: Path, part: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path
