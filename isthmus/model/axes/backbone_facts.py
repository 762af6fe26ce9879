"""What every backbone states about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.point import Point, Refusal
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Widths

Output = Literal["sigmoid", "linear"]
# Bytes that a pass keeps for each pixel, measured with images of 1 to 2 megapixels: copies of the image, and
# maps of the first stage that are alive at once.
PER_CHANNEL = 20
CONV_MAPS, TOKEN_MAPS = 5, 20


@dataclass(frozen=True)
class PatchRequest:
    """A request for `count` pieces of `side × side` pixels of training images, to initialise a network."""

    side: int
    count: int


class Backbone(Point):
    """Base of all backbones.

    Attributes:
        is_local: each output depends only on nearby pixels, within `receptive_radius`, so that an image can
            be processed in pieces.
        fine_code: the code for images that are to be restored, where it may be finer than others'.
        image_axes: numbers of axes of the images that its networks are for: 2, or 3 for volumes.
        starts_at_components: its code begins as the principal components of the training images.
        samples: its decoder draws one of the images that fit the code; it is trained to remove noise.
        wants_prior: its models generate new images, so a prior is fitted after the training.
        usual_minutes: length of a training, see `Recipe.usual_minutes`.
        context_px: side of the pieces that it learns from where images are larger, at least.
        least_batch: images per step, at least, however large they are.
        dense_layer: a layer that answers at every pixel, which features are read from; None for the code.
    """

    axis: ClassVar[str] = "backbone"
    is_local: ClassVar[bool] = False
    fine_code: ClassVar[str | None] = None
    image_axes: ClassVar[tuple[int, ...]] = (2,)
    dense_layer: ClassVar[str | None] = None
    starts_at_components: ClassVar[bool] = False
    samples: ClassVar[bool] = False
    wants_prior: ClassVar[bool] = False
    usual_minutes: ClassVar[float] = 5.0
    context_px: ClassVar[int] = 0
    least_batch: ClassVar[int] = 8

    @property
    def output(self) -> Output:
        """The decoder's range: every backbone has this setting."""
        raise NotImplementedError

    @property
    def may_transform(self) -> bool:
        """Whether it can be trained on pairs, whose targets may have other channels than their inputs."""
        return False

    @property
    def has_skips(self) -> bool:
        """Whether the decoder also needs the encoder's stages, so that the code alone is no image."""
        return False

    @property
    def predicts_residual(self) -> bool:
        """Whether the decoder's output is added to the encoder's input."""
        return False

    @property
    def has_batch_norm(self) -> bool:
        """Whether images of a batch are normalised together."""
        return False

    def default_code(self, *, is_small: bool, restores: bool) -> str:
        """The default code: for small images, or for the restoration of images with `corruption`."""
        if restores and self.fine_code is not None:
            return self.fine_code
        return "64" if is_small else "32@8"

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:  # noqa: ARG002
        """Sides of what the encoder sees are multiples of this; images are extended to it."""
        return 1

    def receptive_radius(self, geometry: Geometry, size: tuple[int, int]) -> tuple[int, int]:
        """How far encoder and decoder look, in steps of the code's grid; of a local backbone only."""
        raise NotImplementedError

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:  # noqa: ARG002
        """Memory of a forward pass over images at their full size."""
        return float(PER_CHANNEL * channels)

    def initial_patches(self, geometry: Geometry) -> PatchRequest | None:  # noqa: ARG002
        """The patches of training images from which first weights are computed, if any."""
        return None

    def shrink_hint(self) -> str | None:
        """A setting `KEY=VALUE` against over-fitting, or None where only a smaller code helps."""
        return None

    def private_refusal(self) -> Refusal | None:
        if self.has_batch_norm:
            why = Message(
                "batch normalisation mixes the images of a batch and stores their statistics",
                id="private.batch-norm",
            )
            return Refusal(why, "backbone.norm=none")
        return super().private_refusal()


def vector_only(backbone: Backbone, geometry: Geometry) -> str | None:
    if geometry.is_grid:
        return Message(
            "a {backbone} backbone has no grid: its code is a vector, for example code 64",
            id="combination.vector-only",
            backbone=backbone.kind,
        )
    return None


def narrower(width: Widths) -> str | None:
    """A quarter of the widths."""
    if not any(side > 8 for side in width):
        return None
    return "backbone.width=" + ",".join(str(max(8, side // 4)) for side in width)
