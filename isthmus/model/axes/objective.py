"""The objective, and the optimiser that minimises it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isthmus.model.image_terms import IMAGE_TERMS, ImageTerm, parse_sum, terms_of
from isthmus.model.setting import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Objective(Settings):
    image: str = setting(
        "mse",
        f"{', '.join(IMAGE_TERMS)}; or a sum such as 0.8*mse+0.2*ssim@0.3 (@: warm-up share)",
    )
    weight: float = setting(1.0, "weight of the whole image part", low=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sum(self.image)

    @property
    def terms(self) -> list[ImageTerm]:
        """The image terms that are summed."""
        return terms_of(self.image)

    @property
    def has_likelihood(self) -> bool:
        """Whether any of the terms is a likelihood."""
        return any(term.is_likelihood for term in self.terms)


@dataclass(frozen=True, kw_only=True)
class Optimiser(Settings):
    name: Literal["adamw", "sgd", "gd"] = setting(
        "adamw", "AdamW, SGD with momentum, or full-batch gradient descent"
    )
    rate: float | None = setting(None, "peak learning rate; auto: 0.002 adamw, 0.1 sgd, 0.5 gd", low=0.0)
    batch: int | None = setting(None, "images per step; auto: by image size; gd always takes all", low=1)
    epochs: float | None = setting(
        None,
        "length in passes over the images, if none is asked for; auto: 5 minutes, `generative` 20",
        low=1e-3,
    )
    momentum: float = setting(0.9, "memory of gradients: of sgd, first β of adamw", low=0.0, high=0.9999)
    beta2: float = setting(0.99, "memory of squared gradients: second β of adamw", low=0.0, high=0.99999)
    weight_decay: float = setting(0.0, "decoupled decay of matrices and kernels", low=0.0)
    schedule: Literal["constant", "cosine", "step"] = setting("cosine", "how the rate falls")
    warmup: float = setting(0.02, "share of the training over which the rate rises", low=0.0, high=1.0)
    drops: int = setting(3, "step schedule: how many equally spaced drops", low=1, high=100)
    factor: float = setting(
        0.3, "step schedule: the rate is multiplied by this at each drop", low=0.0, high=1.0
    )
    clip: float = setting(1.0, "largest gradient norm; 0 switches clipping off", low=0.0)
    ema: float = setting(
        0.995, "decay of the averaged weights that are validated and kept; 0 is off", low=0.0, high=0.99999
    )

    @property
    def takes_all_images(self) -> bool:
        """Whether every step sees all images, in chunks, instead of a batch."""
        return self.name == "gd"

    @property
    def is_adaptive(self) -> bool:
        """Whether every weight has a step length of its own, the first as long as any."""
        return self.name == "adamw"

    @property
    def moments_per_weight(self) -> int:
        """Numbers that it remembers for each weight."""
        return {"adamw": 2, "sgd": 1, "gd": 0}[self.name]

    @property
    def usual_rate(self) -> float:
        """The peak learning rate where none is asked for."""
        return {"adamw": 2e-3, "sgd": 0.1, "gd": 0.5}[self.name]

    @property
    def peak_rate(self) -> float:
        """The learning rate asked for, or the usual one."""
        return self.usual_rate if self.rate is None else self.rate
