"""The bottleneck: what kind of code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.model.setting import Settings, setting

_WARMUP = "share of the training over which the weight rises from zero"
_RECTIFIED = "a ReLU on the code: no number in it is negative"


@dataclass(frozen=True, kw_only=True)
class Plain(Settings):
    kind: ClassVar[str] = "plain"
    rectified: bool = setting(False, _RECTIFIED)


@dataclass(frozen=True, kw_only=True)
class L2(Settings):
    kind: ClassVar[str] = "l2"
    weight: float = setting(0.1, "λ of λ‖z‖², per image", low=0.0)
    rectified: bool = setting(False, _RECTIFIED)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class L1(Settings):
    kind: ClassVar[str] = "l1"
    weight: float = setting(0.05, "λ of λ‖z‖₁, per image; codes are rectified, so zeros are exact", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class KLSparse(Settings):
    kind: ClassVar[str] = "kl-sparse"
    weight: float = setting(1.0, "weight of Σ KL(ρ‖ρ̂)", low=0.0)
    target: float = setting(0.05, "ρ: mean activation asked of every unit", low=1e-4, high=0.9)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class TopK(Settings):
    kind: ClassVar[str] = "top-k"
    k: int = setting(16, "units kept per image (per position in a grid code), by magnitude", low=1)


@dataclass(frozen=True, kw_only=True)
class L0(Settings):
    kind: ClassVar[str] = "l0"
    weight: float = setting(0.1, "cost of one expected active unit, in nats per image", low=0.0)
    active: float | None = setting(
        None, "asked number of active units per image: the weight is then steered to it", low=0.1
    )
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Contractive(Settings):
    kind: ClassVar[str] = "contractive"
    weight: float = setting(0.03, "λ of λ‖∂code/∂input‖²_F over the code's variance, per image", low=0.0)
    probes: int = setting(1, "random probes where the Jacobian has no closed form", low=1, high=64)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Settings):
    kind: ClassVar[str] = "gaussian"
    weight: float = setting(1.0, "β of the KL to the standard normal", low=0.0)
    free_bits: float = setting(0.0, "nats per unit that cost nothing", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Quantised(Settings):
    kind: ClassVar[str] = "quantised"
    method: Literal["fsq", "vq"] = setting("fsq", "finite scalar quantisation, or a learned codebook")
    levels: int = setting(8, "fsq: values per number", low=2, high=256)
    entries: int = setting(256, "vq: size of the codebook", low=2, high=65536)
    groups: int | None = setting(
        None,
        "vq: sub-vectors that a code is cut into; auto takes 4 numbers each, the whole column in a grid",
        low=1,
    )
    commitment: float = setting(0.25, "vq: weight that holds the encoder to its entry", low=0.0)


@dataclass(frozen=True, kw_only=True)
class Entropy(Settings):
    kind: ClassVar[str] = "entropy"
    weight: float = setting(1.0, "weight of the rate, in nats per image", low=0.0)
    low: float | None = setting(
        None, "λ at quality 1 of bits per pixel + λ·255²·mse; auto: one rate, set by the weight", low=1e-6
    )
    high: float = setting(0.0483, "λ at quality 100, where low is given; each image draws its own", low=1e-6)
    quality: float = setting(50.0, "quality of the codes that encode gives", low=1.0, high=100.0)
    context: bool = setting(False, "foretell each value from those coded before it")
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


Bottleneck = Plain | L2 | L1 | KLSparse | TopK | L0 | Contractive | Gaussian | Quantised | Entropy
