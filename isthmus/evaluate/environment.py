"""Where numbers were measured: versions, processor, threads."""

from __future__ import annotations

import platform
from typing import Any

import numpy
import torch

from isthmus.version import __version__


def environment() -> dict[str, Any]:
    """Versions and hardware, as JSON values."""
    return {
        "isthmus": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.platform(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
