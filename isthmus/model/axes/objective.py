"""The objective: what is asked of the images that come out."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.model.image_sum import parse_sum, terms_of
from isthmus.model.image_terms import IMAGE_TERMS, ImageTerm
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
