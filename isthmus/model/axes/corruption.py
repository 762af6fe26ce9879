"""The corruption, of the encoder's input only.

A corruption's `network` is called with `(images, settings, generator)` and gives a `Corrupted`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.point import Point, Refusal
from isthmus.model.setting import setting

_CONDITION = "tell the encoder how much was done, as one more input channel"

LEAST_RECORRUPTION, MOST_RECORRUPTION = 0.2, 1.0  # α of `recorrupted`, drawn for each image


class Corruption(Point):
    """Base of all corruptions.

    Attributes:
        is_identity: the encoder sees the images as they are.
        hides_pixels: it hides pixels, and the model learns to fill them.
        is_paired: each image comes with a target of its own, which is behind it among its channels.
        marks_defects: it also returns which pixels it changed, and one more channel of the decoder learns to
            mark them.
        wants_fine_code: it removes so much detail that only a fine code can restore it.
    """

    axis: ClassVar[str] = "corruption"
    is_identity: ClassVar[bool] = False
    hides_pixels: ClassVar[bool] = False
    is_paired: ClassVar[bool] = False
    marks_defects: ClassVar[bool] = False
    wants_fine_code: ClassVar[bool] = False

    @property
    def target_channels(self) -> int | None:
        """Channels of the target, where they are not those of the input."""
        return None

    @property
    def has_condition(self) -> bool:
        """Whether the encoder gets one more channel, with the strength of the corruption."""
        return False

    @property
    def fills_smoothly(self) -> bool:
        """Whether hidden pixels look like averages of what is near; else they are black."""
        return False

    @property
    def adds_unclipped_noise(self) -> bool:
        """Whether the training noise was not clipped at black and white."""
        return False

    @property
    def needs_noise_level(self) -> bool:
        """Whether `sigma` has to be measured on the images before the first step."""
        return False

    @property
    def noise_range(self) -> tuple[float, float] | None:
        """Smallest and largest σ of the training, in units of 1/255, for a network with a noise map; else
        None.
        """
        return None

    @property
    def draws_per_image(self) -> bool:
        """Whether all that it draws has the images as its first axis, so that processes can share it."""
        return False

    def private_refusal(self) -> Refusal | None:
        if self.needs_noise_level:
            return Refusal(
                Message(
                    "the noise would be measured on the images: give corruption.sigma",
                    id="private.noise-level",
                ),
                "corruption.sigma=25",
            )
        return super().private_refusal()


@dataclass(frozen=True, kw_only=True)
class NoCorruption(Corruption):
    kind: ClassVar[str] = "none"
    network = "isthmus.model.corruptions:leave"
    may_be_private = may_distribute = may_export = draws_per_image = is_identity = True


@dataclass(frozen=True, kw_only=True)
class Pairs(Corruption):
    kind: ClassVar[str] = "pairs"
    network = "isthmus.model.corruptions:split_pairs"
    may_distribute = draws_per_image = is_paired = wants_fine_code = True
    outputs: int | None = setting(
        None, "channels of the target images; auto takes them from the targets", low=1, high=64
    )

    @property
    def target_channels(self) -> int | None:
        return self.outputs


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Corruption):
    kind: ClassVar[str] = "gaussian"
    network = "isthmus.model.corruptions:add_gaussian_noise"
    may_be_private = may_distribute = may_export = draws_per_image = wants_fine_code = True
    sigma: float = setting(50.0, "standard deviation in units of 1/255", low=0.0, high=2550.0)
    sigma_low: float | None = setting(None, "draw σ uniformly from here up to sigma, one per image", low=0.0)
    clip: bool = setting(False, "clip the noisy image to [0, 1]")
    condition: bool = setting(False, _CONDITION)

    @property
    def has_condition(self) -> bool:
        return self.condition

    @property
    def adds_unclipped_noise(self) -> bool:
        return not self.clip

    @property
    def noise_range(self) -> tuple[float, float] | None:
        if not self.condition:
            return None
        return self.sigma if self.sigma_low is None else min(self.sigma_low, self.sigma), self.sigma


@dataclass(frozen=True, kw_only=True)
class SaltPepper(Corruption):
    kind: ClassVar[str] = "salt-pepper"
    network = "isthmus.model.corruptions:add_salt_and_pepper"
    may_be_private = may_distribute = may_export = draws_per_image = True
    amount: float = setting(0.1, "share of pixels set to black or white", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Corruption):
    kind: ClassVar[str] = "poisson"
    network = "isthmus.model.corruptions:count_photons"
    # Counts of photons depend on the pixels, so each process draws its own.
    may_be_private = may_distribute = may_export = True
    peak: float = setting(30.0, "photons counted at white", low=0.1, high=1e6)


@dataclass(frozen=True, kw_only=True)
class Mask(Corruption):
    kind: ClassVar[str] = "mask"
    network = "isthmus.model.corruptions:mask"
    may_be_private = may_distribute = may_export = hides_pixels = wants_fine_code = True
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

    @property
    def has_condition(self) -> bool:
        return self.condition

    @property
    def fills_smoothly(self) -> bool:
        return self.fill == "smooth"

    @property
    def draws_per_image(self) -> bool:
        # Mixed masks are drawn image by image, and so are blocks where each image has its own share of them.
        return self.shape != "mixed" and (self.shape != "blocks" or self.amount_low is None)


@dataclass(frozen=True, kw_only=True)
class Blur(Corruption):
    kind: ClassVar[str] = "blur"
    network = "isthmus.model.corruptions:blur"
    may_be_private = may_distribute = may_export = draws_per_image = True
    sigma: float = setting(1.5, "standard deviation of the Gaussian kernel in pixels", low=0.1, high=20.0)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Corruption):
    kind: ClassVar[str] = "jpeg"
    network = "isthmus.model.corruptions:compress_as_jpeg"
    may_be_private = may_distribute = may_export = draws_per_image = True
    quality: int = setting(20, "JPEG quality", low=1, high=100)
    quality_high: int | None = setting(
        None, "draw the quality uniformly up to here, one per image", low=1, high=100
    )
    sampling: Literal["4:2:0", "4:4:4", "both"] = setting(
        "4:2:0", "of the chroma of colour images: halved, as it is, or one of them per image"
    )
    gray: float = setting(0.0, "share of colour images turned into gray ones", low=0.0, high=1.0)
    shifted: float = setting(
        0.0, "share of images whose blocks begin anywhere, as in cropped images", low=0.0, high=1.0
    )
    twice: float = setting(
        0.0, "share of images saved once before, with other blocks and quality", low=0.0, high=1.0
    )


@dataclass(frozen=True, kw_only=True)
class Recorrupted(Corruption):
    kind: ClassVar[str] = "recorrupted"
    network = "isthmus.model.corruptions:recorrupted"
    may_be_private = may_distribute = may_export = draws_per_image = True
    sigma: float | None = setting(
        None,
        "for images that are noisy themselves: their noise, in units of 1/255; auto is measured",
        low=0.01,
        high=255.0,
    )
    clipped: bool = setting(True, "their noise was cut off at black and white, as it is in files of 8 bits")
    condition: bool = setting(True, _CONDITION)

    @property
    def has_condition(self) -> bool:
        return self.condition

    @property
    def adds_unclipped_noise(self) -> bool:
        return True

    @property
    def needs_noise_level(self) -> bool:
        return self.sigma is None

    @property
    def noise_range(self) -> tuple[float, float] | None:
        if not self.condition or self.sigma is None:
            return None
        return self.sigma, self.sigma * math.sqrt(1 + MOST_RECORRUPTION**2)


@dataclass(frozen=True, kw_only=True)
class BlindSpot(Corruption):
    kind: ClassVar[str] = "blind-spot"
    network = "isthmus.model.corruptions:hide_blind_spots"
    may_be_private = may_distribute = may_export = draws_per_image = True
    amount: float = setting(
        0.02,
        "for images that are noisy themselves: share of pixels guessed from the others",
        low=0.001,
        high=0.5,
    )


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
