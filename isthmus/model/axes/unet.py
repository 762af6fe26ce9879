"""The backbone `unet`: convolutions on grids of falling size, every one handed to the decoder."""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.backbone_facts import CONV_MAPS, Backbone, Output, narrower
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Widths, setting


@dataclass(frozen=True, kw_only=True)
class Unet(Backbone):
    """A U-shaped network with group normalisation (Ronneberger et al. 2015; Wu and He 2018).

    Its decoder needs every grid of the encoder, so recipes that need a code refuse it. Statistics of group
    normalisation are those of the whole image, so what is far away changes the output: it is not local.
    """

    kind: ClassVar[str] = "unet"
    network = "isthmus.model.backbones.unet:build"
    context_px, least_batch = 256, 4  # a defect is recognised by a large part of its surroundings
    width: Widths = setting((16, 32, 48, 64), "channels of each level; each has half the side of the last")
    scale: int = setting(2, "squares of this side are folded into channels first", low=1, high=8)
    inputs: Literal["image", "contrast"] = setting(
        "contrast", "what the first level reads: the image, or also its global and its local contrast"
    )
    predicts: Literal["image", "difference"] = setting(
        "image", "the decoder's output: the image, or what is to be added to the encoder's input"
    )
    output: Output = setting(
        "linear", "range of the decoder: sigmoid keeps it in [0, 1]; linear is clipped on the way out"
    )

    @property
    def may_transform(self) -> bool:
        return True

    @property
    def has_skips(self) -> bool:
        return True

    @property
    def predicts_residual(self) -> bool:
        return self.predicts == "difference"

    @property
    def stride(self) -> int:
        """Pixels per step of the coarsest grid, which is the code's."""
        return int(self.scale * 2 ** (len(self.width) - 1))

    def default_code(self, *, is_small: bool, restores: bool) -> str:  # noqa: ARG002
        return f"{self.width[-1] if self.width else 64}@{self.stride}"

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:  # noqa: ARG002
        return self.stride

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        maps = CONV_MAPS * 4 * (self.width[0] if self.width else 1) / self.scale**2
        return super().bytes_per_pixel(geometry, channels) + 2 * maps

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def refusal(self, geometry: Geometry) -> str | None:
        if not self.width or min(self.width) < 2 or self.scale & (self.scale - 1):
            return Message(
                "a unet backbone needs a width of at least 2 for each level, for example "
                "backbone.width=16-32, and a scale that is a power of two",
                id="combination.unet-width",
            )
        if geometry.stride != self.stride:
            return Message(
                "the grids of this unet end at 1/{stride}, not at code {code}: choose code "
                "{channels}@{stride}, or another backbone for a code that holds the image",
                id="combination.unet-stride",
                stride=self.stride,
                code=str(geometry),
                channels=geometry.channels,
            )
        return None
