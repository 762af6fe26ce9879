"""`Attachment`: what was fitted to a trained model and travels in its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class Attachment:
    """Something fitted to a trained model (a prior, a readout, an index) that travels in its file.

    `encode` and `decode` never depend on it.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
