"""Facts that stand beside the numbers: the model, the images, and where it was measured. JSON values."""

from __future__ import annotations

import platform
from typing import Any

import numpy
import torch

from isthmus.evaluation.passes import largest
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.version import __version__


def model_facts(model: Autoencoder) -> dict[str, Any]:
    """Recipe, code, size, parameters, and what it was trained on."""
    parameters = {
        part: sum(p.numel() for p in module.parameters())
        for part, module in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    summary = model.summary
    return {
        "recipe": model.recipe.name,
        "code": model.recipe.code,
        "size": list(model.size),
        "channels": model.channels,
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_encoder": parameters["encoder"],
        "parameters_decoder": parameters["decoder"],
        "trained_on": (summary.get("data") or {}).get("source"),
        "training_images": (summary.get("data") or {}).get("images"),
        "steps": summary.get("steps"),
        "training_seconds": summary.get("seconds"),
        "precision": (summary.get("settled") or {}).get("precision"),
        "findings": summary.get("findings") or [],
    }


def data_facts(given: ImageSet, images: ImageSet, binary: bool) -> dict[str, Any]:
    """The images measured, out of those given."""
    return {
        "source": given.source,
        "images": len(images),
        "of": len(given),
        "size": list(largest(images)),
        "sizes_differ": images.shape is None,
        "channels": images.channels,
        "type": str(images.dtype),
        "black_and_white": binary,
        "fingerprint": given.fingerprint(),
        "skipped": [{"name": s.name, "reason": s.reason} for s in given.skipped],
    }


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
