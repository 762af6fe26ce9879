"""How the image part of an objective is written: `mse`, or a sum such as `0.8*mse+0.2*ssim@0.3`.

No torch here, so that a misspelt term is refused before anything is read or built.
"""

from __future__ import annotations

import math
import re

from isthmus.errors import UsageError, nearest
from isthmus.model.image_terms import IMAGE_TERMS, ImageTerm


def parse_sum(text: str) -> list[tuple[str, float, float]]:
    """The summands as rows `(term, weight, warm-up share)`.

    Raises:
        UsageError: not of that form, an unknown term, a term twice, or a warm-up share above 1.
    """
    rows: list[tuple[str, float, float]] = []
    for part in text.replace(" ", "").split("+"):
        match = re.fullmatch(r"(?:([0-9.]+(?:e-?\d+)?)\*)?([a-z0-9-]+)(?:@([0-9.]+))?", part)
        if match is None:
            raise UsageError(
                "objective.image={text}: write mse, or a sum such as 0.8*mse+0.2*ssim@0.3",
                id="recipe.image-sum-syntax",
                text=text,
            )
        name = match[2]
        if name not in IMAGE_TERMS:
            raise UsageError(
                "image term '{name}' is not known{suggestion}",
                id="recipe.unknown-image-term",
                name=name,
                suggestion=nearest(name, list(IMAGE_TERMS)),
            )
        if any(name == earlier for earlier, _, _ in rows):
            raise UsageError(
                "objective.image={text}: '{name}' stands there twice",
                id="recipe.image-sum-twice",
                text=text,
                name=name,
            )
        try:
            weight, warmup = float(match[1] or 1), float(match[3] or 0)
        except ValueError:
            raise UsageError(
                "objective.image={text}: '{part}' has a number that cannot be read",
                id="recipe.image-sum-number",
                text=text,
                part=part,
            ) from None
        if not math.isfinite(weight) or warmup > 1:
            raise UsageError(
                "objective.image={text}: weights are finite, warm-up shares at most 1",
                id="recipe.image-sum-range",
                text=text,
            )
        rows.append((name, weight, warmup))
    return rows


def terms_of(text: str) -> list[ImageTerm]:
    """The terms of a sum, in its order.

    Raises:
        UsageError: as `parse_sum`.
    """
    return [IMAGE_TERMS[name] for name, _, _ in parse_sum(text)]
