"""The corruption `real-noise`: noise as photographs have it, of unknown level and covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.model.axes.corruption import Corruption
from isthmus.model.setting import setting


@dataclass(frozen=True, kw_only=True)
class RealNoise(Corruption):
    """One kind of noise per image, drawn at random; the network is not given its level."""

    kind: ClassVar[str] = "real-noise"
    network = "isthmus.model.real_noise:add_real_noise"
    may_be_private = may_distribute = may_export = draws_per_image = True
    sigma: float = setting(55.0, "largest standard deviation, in units of 1/255", low=0.0, high=255.0)
    clean: float = setting(0.08, "share of images without noise", low=0.0, high=1.0)
    gray: float = setting(0.15, "share of colour images turned into gray ones", low=0.0, high=1.0)
    correlated: float = setting(
        0.5, "share of images whose noise is correlated between neighbours", low=0.0, high=1.0
    )
    partial: float = setting(0.1, "share of images with noise in one part only", low=0.0, high=1.0)
    rescaled: float = setting(0.1, "share of images enlarged together with their noise", low=0.0, high=1.0)
    jpeg: float = setting(0.35, "share of images saved as JPEG after the noise", low=0.0, high=1.0)
    jpeg_before: float = setting(0.15, "share of images saved as JPEG before the noise", low=0.0, high=1.0)
