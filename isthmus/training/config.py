"""`TrainConfig`: what a user asks of a training, apart from the recipe and the images."""

from __future__ import annotations

import dataclasses
import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.errors import Hint, UsageError
from isthmus.images.sample_range import Range, check_range

_MAY_BE_NONE = ("limit", "steps", "epochs", "minutes", "private", "delta", "clip_norm", "noise_seed")
LENGTHS = ("epochs", "minutes", "steps")
OLD_NAMES = {"turn": "augment_orientations", "only": "names_from"}
"""Names of options in version 0.1, which files keep -> names of today."""
_STORED_NAMES = {name: old for old, name in OLD_NAMES.items()}
PrecisionName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The request. It checks itself; NumPy numbers become Python numbers, because they are written as JSON.

    Attributes:
        epochs, minutes, steps: length; at most one is given. None of them: the recipe's, or 5 minutes
            (`generative`: 20).
        seed: of the first weights, the order of images, and everything random.
        size: `(H, W)` that every image is resized to; crop: `(H, W)` cut at random from every image.
        validation: share of the images held out by content hash; 0 holds none out.
        patience: training ends after so many validations in a row that were clearly above the best; 0: never.
        balance: draw classes equally often.
        augment_orientations: mirror and turn training examples at random; for images without an up.
        augment_mirror: mirror them left to right at random; for images with an up.
        names_from: a list of names, see `isthmus.images.subsets`: no other images are used.
        limit: at most so many images, evenly spaced.
        groups: images that are held out together, see `isthmus.images.grouping`.
        cache: a folder for the decoded pixels of a folder or of tar shards, see `isthmus.read`.
        range: the samples that stand for black and white, see `isthmus.read`.
        precision: `auto` takes bfloat16 where the processor multiplies it.
        checkpoint_seconds: time between saved states.
        private: ε that the whole training may spend on any one image, see `isthmus.training.privacy`.
        delta: its δ, 1/(10 N) where not given; clip_norm: largest norm of one image's gradient.
        noise_seed: makes the noise repeatable, for experiments only: anyone who knows the seed can remove the
            noise.

    Raises:
        UsageError: a value out of range, or more than one length.

    Examples:
        >>> TrainConfig(steps=100, size=64).size
        (64, 64)
        >>> TrainConfig.from_dict(TrainConfig(seed=3).to_dict()).seed
        3
    """

    epochs: float | None = None
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    validation: float = 0.1
    patience: int = 12
    balance: bool = False
    augment_orientations: bool = False
    augment_mirror: bool = False
    names_from: str | None = None
    limit: int | None = None
    groups: str | None = None
    cache: str | None = None
    precision: PrecisionName = "auto"
    checkpoint_seconds: float = 60.0
    private: float | None = None
    delta: float | None = None
    clip_norm: float | None = None
    noise_seed: int | None = None
    range: Range | None = None

    @property
    def length(self) -> tuple[str, float] | None:
        """Name and value of the length, where one is given."""
        lengths = [(n, getattr(self, n)) for n in LENGTHS if getattr(self, n) is not None]
        return lengths[0] if lengths else None

    def to_dict(self) -> dict[str, Any]:
        """The request as files and summaries hold it, under the names of version 0.1."""
        return {_STORED_NAMES.get(name, name): value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`.

        Raises:
            TypeError, UsageError: it is no such request.
        """
        return cls(**{OLD_NAMES.get(name, name): value for name, value in data.items()})

    def __post_init__(self) -> None:
        lengths = [n for n in LENGTHS if getattr(self, n) is not None]
        if len(lengths) > 1:
            raise UsageError(
                "give only one length, not {names}", id="training.two-lengths", names=" and ".join(lengths)
            )
        self._convert_numbers()
        for name in ("names_from", "groups", "cache"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, os.fspath(path))
        for name in lengths:
            if not 0 < getattr(self, name) < 1e9:
                raise UsageError(
                    "{name}={value}: the length of a training must be a number above 0",
                    id="training.length",
                    name=name,
                    value=getattr(self, name),
                )
        if not 0 <= self.validation < 1:
            raise UsageError(
                "validation={validation}: the share to hold out must be at least 0 and below 1",
                id="training.validation",
                validation=self.validation,
            )
        if not 0 <= self.seed < 2**63:
            raise UsageError(
                "seed={seed}: a seed must be from 0 to 2⁶³ − 1", id="training.seed", seed=self.seed
            )
        if self.limit is not None and self.limit < 1:
            raise UsageError(
                "{name}={value}: expected a whole number of at least {least}",
                id="option.count",
                name="limit",
                value=self.limit,
                least=1,
            )
        if self.patience < 0:
            raise UsageError(
                "patience={patience}: expected a number of validations, or 0 to never stop early",
                id="training.patience",
                patience=self.patience,
            )
        if not self.checkpoint_seconds >= 0:
            raise UsageError(
                "checkpoint_seconds={checkpoint_seconds}: expected a number of seconds, 0 or more",
                id="training.checkpoint-seconds",
                checkpoint_seconds=self.checkpoint_seconds,
            )
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise UsageError(
                "precision={precision} is not known; known: auto, float32, bfloat16",
                id="training.precision",
                precision=self.precision,
            )
        object.__setattr__(self, "range", check_range(self.range))
        self._check_private()
        for name in ("size", "crop"):
            self._convert_sides(name)
        if self.size and self.crop and any(c > s for c, s in zip(self.crop, self.size, strict=True)):
            raise UsageError(
                "crop is larger than size: images are resized first, then cropped", id="training.crop"
            )

    def _check_private(self) -> None:
        for name in ("delta", "clip_norm", "noise_seed"):
            if getattr(self, name) is not None and self.private is None:
                raise UsageError(
                    "{name} is an option of private training",
                    id="training.private-only",
                    hint=Hint.add(private="EPSILON"),
                    name=name,
                )
        if self.private is not None and not self.private > 0:
            raise UsageError(
                "private={private}: the privacy budget ε must be above 0",
                id="training.private",
                private=self.private,
            )
        if self.delta is not None and not 0 < self.delta < 1:
            raise UsageError(
                "delta={delta}: δ is a probability and must be between 0 and 1",
                id="training.delta",
                delta=self.delta,
            )
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise UsageError(
                "clip_norm={clip_norm}: the norm must be finite and above 0",
                id="training.clip-norm",
                clip_norm=self.clip_norm,
            )
        if self.noise_seed is not None and not 0 <= self.noise_seed < 2**63:
            raise UsageError(
                "noise_seed={noise_seed}: a seed must be from 0 to 2⁶³ − 1",
                id="training.noise-seed",
                noise_seed=self.noise_seed,
            )

    def _convert_numbers(self) -> None:
        kinds: dict[str, Callable[[Any], float]] = {
            **dict.fromkeys(("steps", "seed", "patience", "noise_seed", "limit"), operator.index),
            **dict.fromkeys(("epochs", "minutes", "validation", "checkpoint_seconds"), float),
            **dict.fromkeys(("private", "delta", "clip_norm"), float),
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            try:
                object.__setattr__(self, name, kind(value))
            except (TypeError, ValueError, OverflowError):
                what = "a whole number" if kind is operator.index else "a number"
                raise UsageError(
                    "{name}={value}: expected {what}",
                    id="training.option-type",
                    name=name,
                    value=value,
                    what=what,
                ) from None

    def _convert_sides(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if isinstance(value, int):
            value = (value, value)
        try:
            height, width = (operator.index(side) for side in value)
        except (TypeError, ValueError):
            raise UsageError(
                "{name}={value}: expected a height and a width",
                id="training.option-size",
                name=name,
                value=value,
            ) from None
        if not (1 <= height <= 16384 and 1 <= width <= 16384):
            raise UsageError(
                "{name}={height}x{width}: each side must be from 1 to 16384",
                id="training.size-range",
                name=name,
                height=height,
                width=width,
            )
        object.__setattr__(self, name, (height, width))
