"""The corruption, of the encoder's input only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.model.axes.real_noise import RealNoise
from isthmus.model.setting import Settings, setting

_CONDITION = "tell the encoder how much was done, as one more input channel"


@dataclass(frozen=True, kw_only=True)
class NoCorruption(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Settings):
    kind: ClassVar[str] = "gaussian"
    sigma: float = setting(50.0, "standard deviation in units of 1/255", low=0.0, high=2550.0)
    sigma_low: float | None = setting(None, "draw σ uniformly from here up to sigma, one per image", low=0.0)
    clip: bool = setting(False, "clip the noisy image to [0, 1]")
    condition: bool = setting(False, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class SaltPepper(Settings):
    kind: ClassVar[str] = "salt-pepper"
    amount: float = setting(0.1, "share of pixels set to black or white", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Settings):
    kind: ClassVar[str] = "poisson"
    peak: float = setting(30.0, "photons counted at white", low=0.1, high=1e6)


@dataclass(frozen=True, kw_only=True)
class Mask(Settings):
    kind: ClassVar[str] = "mask"
    shape: Literal["pixels", "blocks", "patches", "strokes", "mixed"] = setting(
        "patches", "single pixels, free blocks, patches of a fixed grid, scratches, or one of them per image"
    )
    amount: float = setting(0.5, "share of the image that is hidden", low=0.0, high=0.99)
    amount_low: float | None = setting(
        None, "draw the share uniformly from here up to amount, one per image", low=0.0, high=0.99
    )
    size: int = setting(4, "side of a block or patch; the largest in a mixture", low=1, high=256)
    fill: Literal["zero", "smooth"] = setting(
        "zero", "what the encoder sees in hidden places: black, or averages of what is near"
    )
    loss: Literal["all", "missing"] = setting("all", "which pixels the objective looks at")
    condition: bool = setting(True, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class Blur(Settings):
    kind: ClassVar[str] = "blur"
    sigma: float = setting(1.5, "standard deviation of the Gaussian kernel in pixels", low=0.1, high=20.0)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Settings):
    kind: ClassVar[str] = "jpeg"
    quality: int = setting(20, "JPEG quality", low=1, high=100)
    quality_high: int | None = setting(
        None, "draw the quality uniformly up to here, one per image", low=1, high=100
    )


@dataclass(frozen=True, kw_only=True)
class Recorrupted(Settings):
    kind: ClassVar[str] = "recorrupted"
    sigma: float | None = setting(
        None,
        "for images that are noisy themselves: their noise, in units of 1/255; auto is measured",
        low=0.01,
        high=255.0,
    )
    clipped: bool = setting(True, "their noise was cut off at black and white, as it is in files of 8 bits")
    condition: bool = setting(True, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class BlindSpot(Settings):
    kind: ClassVar[str] = "blind-spot"
    amount: float = setting(
        0.02,
        "for images that are noisy themselves: share of pixels guessed from the others",
        low=0.001,
        high=0.5,
    )


Corruption = (
    NoCorruption
    | GaussianNoise
    | SaltPepper
    | PoissonNoise
    | Mask
    | Blur
    | Jpeg
    | Recorrupted
    | BlindSpot
    | RealNoise
)
