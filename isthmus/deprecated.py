"""Public names of version 0.1 that were renamed; they go with version 0.3."""

from __future__ import annotations

import warnings
from typing import Any


def evaluate_model(model: Any, data: Any, *, train: Any = None, **options: Any) -> Any:
    """`isthmus.evaluate`, with `train=` for `reference=`."""
    from isthmus.api.evaluation import evaluate

    warnings.warn("isthmus.evaluate_model is now isthmus.evaluate", DeprecationWarning, stacklevel=2)
    return evaluate(model, data, **({"reference": train} | options))
