"""The settings of version 0.1, in the order in which it wrote them, with their defaults.

Hashes of recipes are taken over these names and in this order, whatever the settings are called and declared
like today (`isthmus.model.stored_names.hashed_recipe`). This is a record: it never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Axis → kind → setting → default. An axis without kinds has one entry, "".
FIRST_SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "backbone": {
        "dense": {
            "width": [512, 256],
            "decoder": None,
            "norm": "none",
            "activation": "relu",
            "output": "sigmoid",
        },
        "conv": {
            "width": [32],
            "depth": None,
            "blocks": 2,
            "repeats": 1,
            "residual": True,
            "norm": "none",
            "stem": 2,
            "down": "stride",
            "up": "shuffle",
            "padding": "zeros",
            "activation": "relu",
            "start": "random",
            "refines": False,
            "encoder": "stages",
            "finest": None,
            "skips": False,
            "predicts": "image",
            "output": "sigmoid",
        },
        "stacked": {
            "width": [32, 64],
            "decoder": None,
            "norm": "none",
            "down": "stride",
            "up": "transposed",
            "padding": "zeros",
            "activation": "relu",
            "output": "sigmoid",
        },
        "recurrent": {"width": [256], "depth": 1, "output": "sigmoid"},
        "attention": {"width": [128], "depth": 3, "heads": 4, "patch": None, "output": "sigmoid"},
        "filters": {"side": 6, "start": "winners", "output": "linear"},
    },
    "positions": {"none": {}, "coordinates": {}, "sinusoidal": {"bands": 4}, "learned": {"channels": 16}},
    "corruption": {
        "none": {},
        "gaussian": {"sigma": 50.0, "sigma_low": None, "clip": False, "condition": False},
        "salt-pepper": {"amount": 0.1},
        "poisson": {"peak": 30.0},
        "mask": {
            "shape": "patches",
            "amount": 0.5,
            "amount_low": None,
            "size": 4,
            "fill": "zero",
            "loss": "all",
            "condition": True,
        },
        "blur": {"sigma": 1.5},
        "jpeg": {"quality": 20, "quality_high": None},
        "recorrupted": {"sigma": None, "clipped": True, "condition": True},
        "blind-spot": {"amount": 0.02},
    },
    "bottleneck": {
        "plain": {"rectified": False},
        "l2": {"weight": 0.1, "rectified": False, "warmup": 0.0},
        "l1": {"weight": 0.05, "warmup": 0.0},
        "kl-sparse": {"weight": 1.0, "target": 0.05, "warmup": 0.0},
        "top-k": {"k": 16},
        "l0": {"weight": 0.1, "active": None, "warmup": 0.0},
        "contractive": {"weight": 0.03, "probes": 1, "warmup": 0.0},
        "gaussian": {"weight": 1.0, "free_bits": 0.0, "warmup": 0.0},
        "quantised": {"method": "fsq", "levels": 8, "entries": 256, "groups": None, "commitment": 0.25},
        "entropy": {
            "weight": 1.0,
            "low": None,
            "high": 0.0483,
            "quality": 50.0,
            "context": False,
            "warmup": 0.0,
        },
    },
    "critic": {
        "none": {},
        "on-codes": {"weight": 0.02, "width": 256, "rate": 0.0005, "smooth": 1.0},
        "on-images": {"weight": 0.01, "features": 0.1, "width": 32, "rate": 0.0004},
    },
    "objective": {"": {"image": "mse", "weight": 1.0}},
    "optimiser": {
        "": {
            "name": "adamw",
            "rate": None,
            "batch": None,
            "epochs": None,
            "momentum": 0.9,
            "beta2": 0.99,
            "weight_decay": 0.0,
            "schedule": "cosine",
            "warmup": 0.02,
            "drops": 3,
            "factor": 0.3,
            "clip": 1.0,
            "ema": 0.995,
        }
    },
}

# The kind of each axis where a recipe names none.
FIRST_KINDS: Mapping[str, str] = {
    "backbone": "conv",
    "positions": "none",
    "corruption": "none",
    "bottleneck": "plain",
    "critic": "none",
}
