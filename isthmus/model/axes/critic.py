"""The critic: a second player."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.model.setting import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NoCritic(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class OnCodes(Settings):
    kind: ClassVar[str] = "on-codes"
    weight: float = setting(0.02, "weight of looking like the prior", low=0.0)
    width: int = setting(256, "hidden units of the critic", low=1, high=8192)
    rate: float = setting(5e-4, "the critic's learning rate", low=0.0)
    smooth: float = setting(1.0, "weight γ of the critic's squared gradient at both kinds of codes", low=0.0)


@dataclass(frozen=True, kw_only=True)
class OnImages(Settings):
    kind: ClassVar[str] = "on-images"
    weight: float = setting(0.01, "weight of looking real, beside the image terms", low=0.0)
    features: float = setting(0.1, "weight of matching the critic's features", low=0.0)
    width: int = setting(32, "channels of the critic's first layer", low=1, high=1024)
    rate: float = setting(4e-4, "the critic's learning rate", low=0.0)


Critic = NoCritic | OnCodes | OnImages
