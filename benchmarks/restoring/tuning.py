"""The best parameters of the classical methods, on images that are measured nowhere."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from restoring.denoisers import cv2_nlm, nlm, total_variation
from restoring.images import Array
from restoring.protocol import psnr


def tune(images: list[Array]) -> None:
    """Best parameters at σ 25."""
    random = np.random.default_rng(1)
    noisy = [i + random.normal(size=i.shape).astype(np.float32) * np.float32(25 / 255) for i in images]
    grids: dict[str, tuple[Callable[..., npt.NDArray[Any]], list[float]]] = {
        "NLM_H": (nlm, [0.5, 0.6, 0.7, 0.8, 1.0]),
        "TV_WEIGHT": (total_variation, [0.6, 0.75, 0.9, 1.05, 1.2]),
    }
    if find_spec("cv2"):
        grids["CV2_H"] = (cv2_nlm, [0.7, 0.8, 0.9, 1.0, 1.1])
    for name, (method, values) in grids.items():
        results = {
            v: np.mean([psnr(method(s, 25, v), c) for s, c in zip(noisy, images, strict=True)])
            for v in values
        }
        print(
            name,
            {v: round(float(p), 2) for v, p in results.items()},
            "best",
            max(results, key=lambda v: results[v]),
        )
