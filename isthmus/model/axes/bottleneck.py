"""The bottleneck: what kind of code.

A bottleneck's `network` is a subclass of `bottlenecks.interface.Bottleneck`; its `build` makes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.point import Point, Refusal
from isthmus.model.geometry import Geometry
from isthmus.model.setting import setting
from isthmus.wording import format_count

_WARMUP = "share of the training over which the weight rises from zero"
_RECTIFIED = "a ReLU on the code: no number in it is negative"


class Bottleneck(Point):
    """Base of all bottlenecks.

    Attributes:
        is_sparse: most numbers of a code are 0.
        is_discrete: codes come from a finite set, so that no gradient passes and no density describes them.
        is_stochastic: a code is a distribution; the network has `kl_per_unit`.
        has_rate: a code is integers of a known rate; the network derives from `EntropyBottleneck`.
        needs_float32: why it is never trained in bfloat16; "" where it may be.
    """

    axis: ClassVar[str] = "bottleneck"
    is_sparse: ClassVar[bool] = False
    is_discrete: ClassVar[bool] = False
    is_stochastic: ClassVar[bool] = False
    has_rate: ClassVar[bool] = False
    needs_float32: ClassVar[str] = ""

    @property
    def weight(self) -> float:
        """The weight of its penalty in the objective."""
        return 0.0

    @property
    def is_rectified(self) -> bool:
        """Whether no number of a code is negative."""
        return False

    @property
    def kept_units(self) -> int | None:
        """How many units it keeps of each code, so that a unit may jump to 0; None where it keeps all."""
        return None

    @property
    def may_start_at_components(self) -> bool:
        """Whether a short training may begin with the main components of the features as the code."""
        return False

    @property
    def targets_normal(self) -> bool:
        """Whether codes are drawn towards the standard normal distribution."""
        return False

    @property
    def draws_per_image(self) -> bool:
        """Whether all that it draws has the images as its first axis, so that processes can share it."""
        return False

    def revive_hint(self, geometry: Geometry) -> str | None:  # noqa: ARG002
        """A setting `KEY=VALUE` that revives dead units, or None where only the learning rate can."""
        return _weaker(self.weight)

    def collapse_hint(self, *, has_likelihood: bool) -> str | None:  # noqa: ARG002
        """A setting `KEY=VALUE` with which a stochastic code carries more than its prior, or None.

        Args:
            has_likelihood: whether the image part of the objective is a likelihood; otherwise it hardly
                counts.
        """
        return _weaker(self.weight)


def _weaker(weight: float) -> str | None:
    return f"bottleneck.weight={weight / 10:.2g}" if weight > 0 else None


@dataclass(frozen=True, kw_only=True)
class Plain(Bottleneck):
    kind: ClassVar[str] = "plain"
    network = "isthmus.model.bottlenecks.norms:PlainBottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = True
    rectified: bool = setting(False, _RECTIFIED)

    @property
    def may_start_at_components(self) -> bool:
        return not self.rectified

    @property
    def is_rectified(self) -> bool:
        return self.rectified


@dataclass(frozen=True, kw_only=True)
class L2(Bottleneck):
    kind: ClassVar[str] = "l2"
    network = "isthmus.model.bottlenecks.norms:L2Bottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = True
    weight: float = setting(0.1, "λ of λ‖z‖², per image", low=0.0)
    rectified: bool = setting(False, _RECTIFIED)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    @property
    def is_rectified(self) -> bool:
        return self.rectified


@dataclass(frozen=True, kw_only=True)
class L1(Bottleneck):
    kind: ClassVar[str] = "l1"
    network = "isthmus.model.bottlenecks.norms:L1Bottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = is_sparse = is_rectified = True
    weight: float = setting(0.05, "λ of λ‖z‖₁, per image; codes are rectified, so zeros are exact", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class KLSparse(Bottleneck):
    kind: ClassVar[str] = "kl-sparse"
    network = "isthmus.model.bottlenecks.sparse:KLSparseBottleneck"
    may_distribute = may_export = draws_per_image = is_sparse = True
    weight: float = setting(1.0, "weight of Σ KL(ρ‖ρ̂)", low=0.0)
    target: float = setting(0.05, "ρ: mean activation asked of every unit", low=1e-4, high=0.9)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    def private_refusal(self) -> Refusal | None:
        return Refusal(
            Message("kl-sparse uses the mean over a batch", id="private.kl-sparse"), "bottleneck=l1"
        )


@dataclass(frozen=True, kw_only=True)
class TopK(Bottleneck):
    kind: ClassVar[str] = "top-k"
    network = "isthmus.model.bottlenecks.sparse:TopKBottleneck"
    may_distribute = may_export = draws_per_image = is_sparse = True
    k: int = setting(16, "units kept per image (per position in a grid code), by magnitude", low=1)

    @property
    def kept_units(self) -> int | None:
        return self.k

    def revive_hint(self, geometry: Geometry) -> str | None:
        return f"bottleneck.k={min(2 * self.k, geometry.channels)}"

    def private_refusal(self) -> Refusal | None:
        return Refusal(
            Message("top-k counts how often each unit is used and stores it", id="private.top-k"),
            "bottleneck=l1",
        )

    def refusal(self, geometry: Geometry) -> str | None:
        if self.k > geometry.channels:
            return Message(
                "top-k keeps {units} of a code that has {channels}",
                id="combination.top-k",
                units=format_count(self.k, "unit"),
                channels=geometry.channels,
            )
        return None


@dataclass(frozen=True, kw_only=True)
class L0(Bottleneck):
    kind: ClassVar[str] = "l0"
    network = "isthmus.model.bottlenecks.sparse:L0Bottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = is_sparse = True
    weight: float = setting(0.1, "cost of one expected active unit, in nats per image", low=0.0)
    active: float | None = setting(
        None, "asked number of active units per image: the weight is then steered to it", low=0.1
    )
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    def revive_hint(self, geometry: Geometry) -> str | None:
        return (
            super().revive_hint(geometry) if self.active is None else f"bottleneck.active={2 * self.active:g}"
        )

    def private_refusal(self) -> Refusal | None:
        if self.active is None:
            return super().private_refusal()
        why = Message(
            "bottleneck.active is reached by counting the active units of all images",
            id="private.active-units",
        )
        return Refusal(why, "bottleneck.active=auto")

    def refusal(self, geometry: Geometry) -> str | None:
        if not geometry.is_grid and self.active is not None and self.active > geometry.channels:
            return Message(
                "l0 is asked for {active:g} active units of a code that has {channels}",
                id="combination.active-units",
                active=self.active,
                channels=geometry.channels,
            )
        return None


@dataclass(frozen=True, kw_only=True)
class Contractive(Bottleneck):
    kind: ClassVar[str] = "contractive"
    network = "isthmus.model.bottlenecks.norms:ContractiveBottleneck"
    may_distribute = may_export = draws_per_image = True
    needs_float32 = "a Jacobian penalty needs its digits"
    weight: float = setting(0.03, "λ of λ‖∂code/∂input‖²_F over the code's variance, per image", low=0.0)
    probes: int = setting(1, "random probes where the Jacobian has no closed form", low=1, high=64)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    def private_refusal(self) -> Refusal | None:
        return Refusal(
            Message(
                "the contractive penalty divides by the variance of a batch's codes", id="private.contractive"
            ),
            "bottleneck=l2",
        )


@dataclass(frozen=True, kw_only=True)
class Gaussian(Bottleneck):
    kind: ClassVar[str] = "gaussian"
    network = "isthmus.model.bottlenecks.gaussian:GaussianBottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = is_stochastic = True
    weight: float = setting(1.0, "β of the KL to the standard normal", low=0.0)
    free_bits: float = setting(0.0, "nats per unit that cost nothing", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    @property
    def targets_normal(self) -> bool:
        return self.weight > 0

    def revive_hint(self, geometry: Geometry) -> str | None:  # noqa: ARG002
        return None  # units that equal the prior are `collapse_hint`'s

    def collapse_hint(self, *, has_likelihood: bool) -> str | None:
        if self.weight > 1:
            return f"bottleneck.weight={max(1.0, self.weight / 10):g}"
        if not has_likelihood:
            # A mean squared error is no log-likelihood and hardly counts compared with nats.
            return "objective.image=gaussian-nll"
        if self.warmup < 0.3:
            return "bottleneck.warmup=0.5"
        return f"bottleneck.free_bits={max(0.1, 2 * self.free_bits):g}"

    def private_refusal(self) -> Refusal | None:
        if self.free_bits == 0:
            return super().private_refusal()
        return Refusal(
            Message("free bits are computed from the mean over a batch", id="private.free-bits"),
            "bottleneck.free_bits=0",
        )


@dataclass(frozen=True, kw_only=True)
class Quantised(Bottleneck):
    kind: ClassVar[str] = "quantised"
    network = "isthmus.model.bottlenecks.quantised:QuantisedBottleneck"
    may_be_private = may_distribute = may_export = draws_per_image = is_discrete = True
    method: Literal["fsq", "vq"] = setting("fsq", "finite scalar quantisation, or a learned codebook")
    levels: int = setting(8, "fsq: values per number", low=2, high=256)
    entries: int = setting(256, "vq: size of the codebook", low=2, high=65536)
    groups: int | None = setting(
        None,
        "vq: sub-vectors that a code is cut into; auto takes 4 numbers each, the whole column in a grid",
        low=1,
    )
    commitment: float = setting(0.25, "vq: weight that holds the encoder to its entry", low=0.0)

    def refusal(self, geometry: Geometry) -> str | None:
        if self.groups and geometry.channels % self.groups:
            return Message(
                "{groups} groups do not divide a code of {channels} channels",
                id="combination.groups",
                groups=self.groups,
                channels=geometry.channels,
            )
        return None


@dataclass(frozen=True, kw_only=True)
class Entropy(Bottleneck):
    kind: ClassVar[str] = "entropy"
    network = "isthmus.model.bottlenecks.entropy:EntropyBottleneck"
    may_distribute = may_export = is_discrete = has_rate = True
    weight: float = setting(1.0, "weight of the rate, in nats per image", low=0.0)
    low: float | None = setting(
        None, "λ at quality 1 of bits per pixel + λ·255²·mse; auto: one rate, set by the weight", low=1e-6
    )
    high: float = setting(0.0483, "λ at quality 100, where low is given; each image draws its own", low=1e-6)
    quality: float = setting(50.0, "quality of the codes that encode gives", low=1.0, high=100.0)
    context: bool = setting(False, "predict each value from those coded before it")
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)

    @property
    def draws_per_image(self) -> bool:
        return self.low is None  # qualities are spread over a batch

    def private_refusal(self) -> Refusal | None:
        return Refusal(
            Message("a codec's tables are counted from the training images", id="private.codec"),
            "bottleneck=plain",
        )
