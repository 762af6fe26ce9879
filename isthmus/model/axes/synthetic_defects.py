"""The corruption `synthetic-defects`: planted defects, which a model learns to mark and to repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.model.axes.corruption import Corruption
from isthmus.model.setting import setting


@dataclass(frozen=True, kw_only=True)
class SyntheticDefects(Corruption):
    """Defects of many kinds, sizes and contrasts; the decoder has one more channel, which marks them.

    Pixels of one image are pasted into others, so it is trained neither privately nor in several processes.
    """

    kind: ClassVar[str] = "synthetic-defects"
    network = "isthmus.model.synthetic_defects:plant_defects"
    marks_defects = True
    clean: float = setting(0.2, "share of images without a defect", low=0.0, high=1.0)
    count: int = setting(3, "most defects in one image", low=1, high=64)
    smallest: float = setting(4.0, "least size of a defect in pixels", low=1.0, high=256.0)
    large: float = setting(
        0.35, "share of defects that cover a large part of the image, or all of it", low=0.0, high=1.0
    )
    contrast: float = setting(
        0.04, "least change of brightness that makes a defect, in [0, 1]", low=0.001, high=1.0
    )
