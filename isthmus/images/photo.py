"""The photograph that ships with the package: "Coffee" by Rachel Michetti (CC0, from scikit-image)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

PHOTO = Path(__file__).parent / "sample" / "coffee.png"


def sample_photo() -> npt.NDArray[np.uint8]:
    """`(256, 384, 3)` uint8. No shipped model was trained on it."""
    from PIL import Image

    with Image.open(PHOTO) as picture:
        return np.asarray(picture.convert("RGB"))
