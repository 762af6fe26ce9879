"""How metrics are called where people read them: name, unit, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """`better` is "higher", "lower", or empty where neither is."""

    name: str
    unit: str = ""
    better: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


LABELS: Mapping[str, Label] = {
    "psnr": Label("PSNR", "dB", "higher"),
    "ssim": Label("SSIM", "", "higher"),
    "ms_ssim": Label("MS-SSIM", "", "higher"),
    "mse": Label("MSE", "", "lower"),
    "mae": Label("MAE", "", "lower"),
    "bce": Label("cross-entropy", "nats/value", "lower"),
    "bce_excess": Label("cross-entropy above floor", "nats/value", "lower"),
    "kl": Label("KL", "nats/image"),
    "active_units": Label("active units"),
    "image_nats": Label("−ln p(x|z)", "nats/image", "lower"),
    "elbo": Label("ELBO", "nats/image", "higher"),
    "nll_nats": Label("−ln p(x), at most", "nats/image", "lower"),
    "bits_per_dim": Label("bits per value", "", "lower"),
    "nonzero": Label("numbers not zero", "per image"),
    "dead_units": Label("dead units", "", "lower"),
    "rate_nats": Label("estimated rate", "nats/image", "lower"),
    "rate_bpp": Label("estimated rate", "bits/pixel", "lower"),
}


def label(key: str) -> str:
    """The readable name of a metric's key."""
    return str(LABELS.get(key, Label(key)))


def in_order(keys: Mapping[str, object]) -> list[str]:
    """The keys as a table shows them, known ones first."""
    return [*(key for key in LABELS if key in keys), *(key for key in keys if key not in LABELS)]
