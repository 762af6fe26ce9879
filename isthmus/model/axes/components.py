"""The backbone whose code is the principal components of the training images."""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.messages import Message
from isthmus.model.axes.backbone_facts import CONV_MAPS, Backbone, Output, narrower, vector_only
from isthmus.model.axes.point import Refusal
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Widths, setting

MAX_SIDE_PX = 64  # of images whose components are found; larger ones are reduced


@dataclass(frozen=True, kw_only=True)
class Components(Backbone):
    kind: ClassVar[str] = "components"
    network = "isthmus.model.backbones.components:build"
    starts_at_components = samples = wants_prior = may_distribute = True
    usual_minutes = 20.0  # drawing is learned far more slowly than painting
    width: Widths = setting((48, 96), "channels of the denoising network at its two resolutions")
    blocks: int = setting(1, "residual blocks at each resolution, each way", low=1, high=32)
    stem: int = setting(4, "space-to-depth factor of the denoising network", low=1, high=16)
    steps: int = setting(20, "steps in which an image is drawn", low=1, high=1000)
    doubt: float = setting(
        4.0,
        "most noise on codes in training, over the weakest component: how far a prior may err",
        low=0.0,
    )

    @property
    def output(self) -> Output:
        return "linear"

    def default_code(self, *, is_small: bool, restores: bool) -> str:  # noqa: ARG002
        return "64" if is_small else "256"

    def reduction(self, size: tuple[int, int]) -> int:
        """The side of the pixels whose means the components are of."""
        reduction = 1
        while max(size) > MAX_SIDE_PX * reduction and reduction < 2 * self.stem:
            reduction *= 2
        return reduction

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:  # noqa: ARG002
        return 2 * self.stem

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        return super().bytes_per_pixel(geometry, channels) + CONV_MAPS * 4 * self.width[0] / self.stem**2

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def private_refusal(self) -> Refusal | None:
        why = Message("its code is the principal components of the images", id="private.components")
        return Refusal(why, "backbone=conv")

    def refusal(self, geometry: Geometry) -> str | None:
        if self.stem & (self.stem - 1):
            return Message(
                "backbone.stem={stem} is not a power of two", id="combination.stem", stem=self.stem
            )
        if len(self.width) != 2:
            return Message(
                "a components backbone has two widths, for example backbone.width=64-128",
                id="combination.components-width",
            )
        return vector_only(self, geometry)
