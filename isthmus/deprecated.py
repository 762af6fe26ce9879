"""Public names of version 0.1 that have new ones. They warn, and go with version 0.3."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.api.evaluation_results import Evaluation
    from isthmus.api.inputs import DataLike, ModelLike


def generate_images(model: ModelLike, count: int = 16, **options: Any) -> npt.NDArray[np.uint8]:
    """Use `isthmus.generate(...).pixels`: new images `(count, H, W, C)` uint8."""
    from isthmus.api.sampling import generate

    _warn("generate_images(...)", "generate(...).pixels")
    return generate(model, count, **options).pixels


def evaluate_model(model: ModelLike, data: DataLike, *, train: DataLike = None, **options: Any) -> Evaluation:
    """Use `isthmus.evaluate`, with `reference=` for `train=`."""
    from isthmus.api.evaluation import evaluate

    _warn("evaluate_model", "evaluate")
    return evaluate(model, data, **({"reference": train} | options))


def _warn(old: str, new: str) -> None:
    warnings.warn(f"isthmus.{old} is now isthmus.{new}; the old name goes with 0.3", DeprecationWarning, 3)
