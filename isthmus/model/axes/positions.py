"""Positions: whether the network has information about places in the image.

The `network` of positions is called with `(settings, grid)` and gives a `PositionMap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.model.axes.point import Point
from isthmus.model.setting import setting


class Positions(Point):
    """Base of all positions.

    Attributes:
        knows_position: the network's output depends on the place in the image.
    """

    axis: ClassVar[str] = "positions"
    knows_position: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class NoPositions(Positions):
    kind: ClassVar[str] = "none"
    network = "isthmus.model.positions:PositionMap"
    may_be_private = may_distribute = may_export = True
    knows_position = False


@dataclass(frozen=True, kw_only=True)
class Coordinates(Positions):
    kind: ClassVar[str] = "coordinates"
    network = "isthmus.model.positions:CoordinateMap"
    may_be_private = may_distribute = may_export = True


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Positions):
    kind: ClassVar[str] = "sinusoidal"
    network = "isthmus.model.positions:SinusoidalMap"
    may_be_private = may_distribute = may_export = True
    bands: int = setting(4, "frequencies 1, 2, 4, … per axis, a sine and a cosine each", low=1, high=12)


@dataclass(frozen=True, kw_only=True)
class Learned(Positions):
    kind: ClassVar[str] = "learned"
    network = "isthmus.model.positions:LearnedMap"
    may_be_private = may_distribute = may_export = True
    channels: int = setting(16, "numbers learned per grid position", low=1, high=4096)
