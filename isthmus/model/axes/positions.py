"""Positions: does the network know where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.model.setting import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NoPositions(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class Coordinates(Settings):
    kind: ClassVar[str] = "coordinates"


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Settings):
    kind: ClassVar[str] = "sinusoidal"
    bands: int = setting(4, "frequencies 1, 2, 4, … per axis, a sine and a cosine each", low=1, high=12)


@dataclass(frozen=True, kw_only=True)
class Learned(Settings):
    kind: ClassVar[str] = "learned"
    channels: int = setting(16, "numbers learned per grid position", low=1, high=4096)


Positions = NoPositions | Coordinates | Sinusoidal | Learned
