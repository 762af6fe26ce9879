"""What a resumed training must know besides its plan: what was asked, and of which images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from isthmus.model.recipe import Recipe
from isthmus.training.config import TrainConfig
from isthmus.training.data import TrainingData
from isthmus.training.plan import TrainPlan


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """What a resumed training must know besides its plan: what was asked, and of which images.

    Attributes:
        recipe: with every choice that depends on the images.
        config: what was asked for.
        source, fingerprint: of the images to train on; held_out: fingerprint of those to validate on.
        threads: that the training began with.
    """

    recipe: Recipe
    config: TrainConfig
    source: str
    fingerprint: str
    held_out: str | None
    threads: int = field(default_factory=torch.get_num_threads)

    @classmethod
    def of(cls, recipe: Recipe, config: TrainConfig, data: TrainingData) -> TrainRecord:
        held_out = None if data.held_out is None else data.held_out.fingerprint()
        train = data.train
        return cls(
            recipe=recipe,
            config=config,
            source=train.source,
            fingerprint=train.fingerprint(),
            held_out=held_out,
        )

    def to_dict(self, plan: TrainPlan) -> dict[str, Any]:
        """Record and plan as a training state holds them."""
        return {
            "recipe": self.recipe.to_dict(),
            "settled": plan.to_dict(),
            "options": self.config.to_dict(),
            "source": self.source,
            "fingerprint": self.fingerprint,
            "held_out": self.held_out,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> tuple[TrainRecord, TrainPlan]:
        """The inverse of `to_dict`.

        Raises:
            IsthmusError, LookupError, TypeError, ValueError: these are no record and plan.
        """
        config = TrainConfig.from_dict(data["options"])
        record = cls(
            recipe=Recipe.from_dict(data["recipe"]),
            config=config,
            **{name: data[name] for name in ("source", "fingerprint", "held_out", "threads")},
        )
        return record, TrainPlan.from_dict(data["settled"], config)
