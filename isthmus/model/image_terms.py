"""The image terms of an objective, each registered once with its facts, and the syntax of their sum.

An objective is written `mse`, or as a sum such as `0.8*mse+0.2*ssim@0.3`. No torch here, so that a misspelt
term is refused before images are read or networks built.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from isthmus.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class ImageTerm:
    """One term.

    Attributes:
        name: as objectives name it.
        measure: "module:name" of a function `Trace -> (N,)`, a mean over pixel-channels.
        is_per_image: the value of an image depends on that image alone. Otherwise private training and
            several processes are refused.
        nats: where the term is a likelihood, "module:name" of −ln p(x|z) of whole images, a function `(raw,
            output, noise_log_sigma, images) -> (N,)` of the decoder's last layer and of what it means.
        is_density: `nats` are of a density on [0, 1], not of the levels that pixels have.
        has_floor: it is zero for a perfect image, so that a ratio of two values means something.
        needs_probabilities: it compares probabilities, the output of a sigmoid.
        learns_noise: it has a learned σ of the output, `trace.model.noise_log_sigma`.
        needs_mask: it judges the channel that marks defects, not the image.
    """

    name: str
    measure: str
    is_per_image: bool = False
    nats: str = ""
    is_density: bool = False
    has_floor: bool = False
    needs_probabilities: bool = False
    learns_noise: bool = False
    needs_mask: bool = False

    @property
    def is_likelihood(self) -> bool:
        return bool(self.nats)


IMAGE_TERMS: dict[str, ImageTerm] = {}


def register_image_term(term: ImageTerm) -> None:
    """Let objectives name a term.

    Raises:
        UsageError: its name is taken or cannot stand in a sum, or its measure is no "module:name".
    """
    if term.name in IMAGE_TERMS and IMAGE_TERMS[term.name] != term:
        raise UsageError(
            "image term '{name}' exists already: choose another name",
            id="recipe.image-term-taken",
            name=term.name,
        )
    if not term.name.replace("-", "").isalnum() or not all(term.measure.partition(":")):
        raise UsageError(
            "image term '{name}' ('{measure}'): a name, and 'module:name' of a function",
            id="recipe.image-term-function",
            name=term.name,
            measure=term.measure,
        )
    IMAGE_TERMS[term.name] = term


for _term in (
    ImageTerm(name="mse", measure="isthmus.model.terms:mse", is_per_image=True, has_floor=True),
    ImageTerm(
        name="bce",
        measure="isthmus.model.terms:bce",
        nats="isthmus.model.terms:bernoulli_nats",
        is_per_image=True,
        needs_probabilities=True,
    ),
    ImageTerm(name="l1", measure="isthmus.model.terms:l1", is_per_image=True, has_floor=True),
    ImageTerm(name="psnr", measure="isthmus.model.terms:psnr", is_per_image=True),
    ImageTerm(name="ssim", measure="isthmus.model.terms:ssim_term", is_per_image=True, has_floor=True),
    ImageTerm(
        name="gaussian-nll",
        measure="isthmus.model.terms:gaussian_nll",
        nats="isthmus.model.terms:gaussian_nats",
        is_per_image=True,
        is_density=True,
        learns_noise=True,
    ),
    ImageTerm(name="mask-bce", measure="isthmus.model.terms:mask_bce", is_per_image=True, needs_mask=True),
    ImageTerm(
        name="mask-focal", measure="isthmus.model.terms:mask_focal", is_per_image=True, needs_mask=True
    ),
    ImageTerm(name="mask-dice", measure="isthmus.model.terms:mask_dice", is_per_image=True, needs_mask=True),
    ImageTerm(
        name="mask-image", measure="isthmus.model.terms:mask_image", is_per_image=True, needs_mask=True
    ),
):
    register_image_term(_term)


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
                "objective.image={text}: '{name}' is in it twice",
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
