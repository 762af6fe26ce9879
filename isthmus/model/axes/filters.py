"""The backbone of whitened filters, made for features."""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.backbone import OUTPUT_HELP
from isthmus.model.axes.backbone_facts import CONV_MAPS, Backbone, Output, PatchRequest
from isthmus.model.axes.point import Refusal
from isthmus.model.geometry import Geometry
from isthmus.model.setting import setting

_PATCHES_PER_FILTER, _PATCHES = 250, (4000, 200_000)


@dataclass(frozen=True, kw_only=True)
class Filters(Backbone):
    kind: ClassVar[str] = "filters"
    network = "isthmus.model.backbones.filters:build"
    dense_layer = "filters"
    may_distribute = may_export = True
    side: int = setting(6, "side of a filter in pixels, at least the code's stride", low=1, high=32)
    start: Literal["random", "winners"] = setting(
        "winners", "first filters: random, or the directions that single winners of the images' pieces take"
    )
    output: Output = setting("linear", OUTPUT_HELP)

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:  # noqa: ARG002
        return geometry.stride or 1

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        maps = 0 if geometry.stride is None else CONV_MAPS * 4 * geometry.channels / geometry.stride**2
        return super().bytes_per_pixel(geometry, channels) + maps

    def initial_patches(self, geometry: Geometry) -> PatchRequest | None:
        if self.start == "random":
            return None
        count = _PATCHES_PER_FILTER * geometry.channels
        return PatchRequest(self.side, min(max(count, _PATCHES[0]), _PATCHES[1]))

    def private_refusal(self) -> Refusal | None:
        why = Message("its filters are initialised from statistics of the images", id="private.filters")
        return Refusal(why, "backbone=conv")

    def refusal(self, geometry: Geometry) -> str | None:
        if geometry.stride is None:
            return Message(
                "filters respond at every position: their code is a grid, for example code 256@4",
                id="combination.filters-vector",
            )
        if self.side < geometry.stride:
            return Message(
                "filters of side {side} leave gaps in steps of {stride} pixels",
                id="combination.filters-gaps",
                side=self.side,
                stride=geometry.stride,
            )
        return None
