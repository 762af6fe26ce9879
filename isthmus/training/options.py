"""What a user asks of a training, apart from the recipe; and what was settled before the first step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.errors import UsageError

PrecisionName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The request.

    Attributes:
        epochs, minutes, steps: length; at most one is given. None of them: five minutes.
        seed: of the first weights, the order of images, and everything random.
        size: `(H, W)` that every image is resized to; crop: `(H, W)` cut at random from every image.
        validation: share of the images held out by content hash; 0 holds none out.
        patience: validations without improvement after which training ends; 0 never ends early.
        balance: draw classes equally often.
        precision: `auto` measures whether bfloat16 pays on this machine.
        checkpoint_seconds: time between saved states.
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
    precision: PrecisionName = "auto"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        given = [n for n in ("epochs", "minutes", "steps") if getattr(self, n) is not None]
        if len(given) > 1:
            raise UsageError(f"give one length, not {' and '.join(given)}")
        for name in given:
            if not 0 < getattr(self, name) < 1e9:
                raise UsageError(f"{name}={getattr(self, name)} is not a length of training")
        if not 0 <= self.validation < 1:
            raise UsageError(f"validation={self.validation}: the held-out share lies from 0 up to 1")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise UsageError(f"precision={self.precision} is not known; known: auto, float32, bfloat16")
        for name in ("size", "crop"):
            value = getattr(self, name)
            if value is not None and not all(1 <= v <= 16384 for v in value):
                raise UsageError(f"{name}={value[0]}x{value[1]}: sides lie from 1 to 16384")
        if self.size and self.crop and any(c > s for c, s in zip(self.crop, self.size, strict=True)):
            raise UsageError("a crop cannot be larger than the size that images are resized to")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Everything that was chosen automatically or given, fixed before the first step and reused on resume.

    Attributes:
        size: `(H, W)` of training batches; crop: whether they are cut at random from larger images.
        batch, steps, validate_every: in images and steps.
        precision: `float32` or `bfloat16`.
        notes: what was chosen and why, one line each.
    """

    size: tuple[int, int]
    crop: bool
    batch: int
    steps: int
    validate_every: int
    precision: str
    seed: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settled:
        return cls(**{**data, "size": tuple(data["size"]), "notes": tuple(data["notes"])})
