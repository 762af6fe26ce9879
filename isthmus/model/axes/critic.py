"""The critic: a second player.

A critic's `network` is called with `(settings, plan)` and gives a `Critic`, with the terms that it adds for
each player.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.messages import Message
from isthmus.model.axes.point import Point, Refusal
from isthmus.model.setting import setting


class Critic(Point):
    """Base of all critics.

    Attributes:
        judges: its input, "codes" or "images"; "" where there is no critic.
        targets_normal: codes are drawn towards the standard normal distribution.
        compares_with_prior: it also draws codes from the standard normal distribution.
        draws_per_image: all that it draws has the images as its first axis, so that processes can share it.
    """

    axis: ClassVar[str] = "critic"
    judges: ClassVar[str] = ""
    targets_normal: ClassVar[bool] = False
    compares_with_prior: ClassVar[bool] = False
    draws_per_image: ClassVar[bool] = False

    @property
    def weight(self) -> float:
        """The weight of its output in the objective."""
        return 0.0

    @property
    def rate(self) -> float:
        """Its own learning rate."""
        return 0.0

    def private_refusal(self) -> Refusal | None:
        if not self.judges:
            return super().private_refusal()
        return Refusal(
            Message(
                "a critic is a second player whose gradients would need a budget too", id="private.critic"
            ),
            "critic=none",
        )


@dataclass(frozen=True, kw_only=True)
class NoCritic(Critic):
    kind: ClassVar[str] = "none"
    may_be_private = may_distribute = may_export = draws_per_image = True


@dataclass(frozen=True, kw_only=True)
class OnCodes(Critic):
    kind: ClassVar[str] = "on-codes"
    network = "isthmus.model.critics:CodeCritic"
    judges = "codes"
    may_distribute = may_export = targets_normal = compares_with_prior = draws_per_image = True
    weight: float = setting(0.02, "weight of looking like the prior", low=0.0)
    width: int = setting(256, "hidden units of the critic", low=1, high=8192)
    rate: float = setting(5e-4, "the critic's learning rate", low=0.0)
    smooth: float = setting(1.0, "weight γ of the critic's squared gradient at both kinds of codes", low=0.0)


@dataclass(frozen=True, kw_only=True)
class OnImages(Critic):
    kind: ClassVar[str] = "on-images"
    network = "isthmus.model.critics:ImageCritic"
    judges = "images"
    may_distribute = may_export = compares_with_prior = draws_per_image = True
    weight: float = setting(0.01, "weight of looking real, beside the image terms", low=0.0)
    features: float = setting(0.1, "weight of matching the critic's features", low=0.0)
    width: int = setting(32, "channels of the critic's first layer", low=1, high=1024)
    rate: float = setting(4e-4, "the critic's learning rate", low=0.0)
