"""Which images are measured, and what is hidden of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float32]

# The test set of Roth and Black (2009), "Fields of experts", by the names of the Berkeley images.
BSD68 = (
    101085, 101087, 102061, 103070, 105025, 106024, 108005, 108070, 108082, 109053, 119082, 12084, 123074,
    126007, 130026, 134035, 14037, 143090, 145086, 147091, 148026, 148089, 157055, 159008, 160068, 16077,
    163085, 167062, 167083, 170057, 175032, 175043, 182053, 189080, 19021, 196073, 197017, 208001, 210088,
    21077, 216081, 219090, 220075, 223061, 227092, 229036, 236037, 24077, 241004, 241048, 253027, 253055,
    260058, 271035, 285079, 291000, 295087, 296007, 296059, 299086, 300091, 302008, 304034, 304074, 306005,
    3096, 33039, 351093,
)  # fmt: skip


def read(folder: Path, arguments: argparse.Namespace) -> Iterator[Array]:
    """`(H, W)` or `(H, W, 3)` float32 in [0, 1]."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif"))
    if arguments.bsd68:
        paths = [p for p in paths if p.stem.isdecimal() and int(p.stem) in BSD68]
        assert len(paths) == 68, f"{len(paths)} of the 68 images are here"
    if arguments.images is not None and arguments.images < len(paths):
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, arguments.images).round().astype(int)]
    for path in paths:
        with Image.open(path) as image:
            gray = arguments.gray or image.mode == "L"
            yield np.asarray(image.convert("L" if gray else "RGB"), dtype=np.float32) / 255


def masks(height: int, width: int, seed: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Random pixels, 16×16 blocks of a quarter of the image, thin scratches, the centre quarter."""
    random = np.random.default_rng(seed)
    noise = random.random((height, width))
    blocks = np.zeros((height, width), bool)
    while blocks.mean() < 0.25:
        top, left = random.integers(0, height - 15), random.integers(0, width - 15)
        blocks[top : top + 16, left : left + 16] = True
    lines = np.zeros((height, width), bool)
    rows, columns = np.mgrid[0:height, 0:width]
    for _ in range(25):
        angle, r, c = random.random() * np.pi, random.random() * height, random.random() * width
        across = (rows - r) * np.cos(angle) - (columns - c) * np.sin(angle)
        along = (rows - r) * np.sin(angle) + (columns - c) * np.cos(angle)
        lines |= (np.abs(across) < 1.5) & (np.abs(along) < random.random() * width / 3)
    return {
        "50 % of pixels": noise < 0.5,
        "80 % of pixels": noise < 0.8,
        "90 % of pixels": noise < 0.9,
        "blocks": blocks,
        "scratches": lines,
    }
