"""Directions in the code that stand for an attribute, learned from two groups of images."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, ModelFileError, UsageError, nearest
from isthmus.generation.codes import check_generates, decode_codes, encode_image, encode_images
from isthmus.generation.sampling import to_pixels
from isthmus.images.store import ImageSet, Pixels
from isthmus.input_files import parse_json
from isthmus.model import stored_names
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.file import read_file, write_file
from isthmus.model.mark import mark_of
from isthmus.threads import limited

KEY = "isthmus.direction"


@dataclass(frozen=True, eq=False)
class CodeDirection:
    """A vector in the code: one step along it leads from the middle of one group to the middle of the other.

    Attributes:
        step: shaped like a code.
        facts: the groups, how many images, how well the direction parts them (`auc`), and the `model` whose
            codes it is for.
    """

    step: Tensor
    facts: dict[str, Any] = field(default_factory=dict)

    def shift(self, codes: Tensor, by: float) -> Tensor:
        """Move codes `(N, …)` by so many steps; a grid of another size takes the mean over positions.

        Raises:
            DataError: codes of another shape.
        """
        step = self.step
        if codes.ndim == 4 and step.ndim == 3 and step.shape[1:] != codes.shape[2:]:
            step = step.mean((1, 2), keepdim=True)
        if codes.ndim != step.ndim + 1 or codes.shape[1] != step.shape[0]:
            shapes = f"{tuple(self.step.shape)} and codes of {tuple(codes.shape[1:])}"
            raise DataError(
                "the direction belongs to another model: it is for codes of {shapes}",
                id="direction.other-model",
                shapes=shapes,
            )
        return codes + by * step

    def save(self, path: str | os.PathLike[str], *, force: bool = True) -> None:
        """Write it as a safetensors file."""
        facts = stored_names.stored_direction(self.facts)
        write_file(path, {"step": self.step}, {KEY: json.dumps(facts)}, force=force)


def load_direction(path: str | os.PathLike[str]) -> CodeDirection:
    """Read what `CodeDirection.save` wrote.

    Raises:
        ModelFileError: missing, damaged, or something else.
    """
    tensors, metadata = read_file(path, kind="direction")
    try:
        parsed = parse_json(metadata[KEY])
        if not isinstance(parsed, dict):
            raise ValueError("its header describes no direction")
        facts = stored_names.current_direction(parsed)
        words = ("C", "h", "w")[: tensors["step"].ndim]
        check_tensors(tensors, {"step": Rule(*words)})
        if len(words) not in (1, 3):
            raise ValueError("its step is no code")
        return CodeDirection(tensors["step"].float(), facts)
    except DAMAGE as error:
        raise ModelFileError(
            "{path} is not a direction",
            id="direction.not-a-direction",
            hint=Hint.call("find_direction", "MODEL", plus="DATA", minus="DATA"),
            path=path,
        ) from error


@limited()
def find_direction(
    model: Autoencoder, plus: ImageSet, minus: ImageSet, *, discriminant: bool = False
) -> CodeDirection:
    """The direction from the images `minus` to the images `plus`; see `isthmus.find_direction`.

    Args:
        discriminant: Fisher's, instead of the difference of the groups' means.

    Raises:
        CapabilityError: the model cannot generate.
        DataError: groups that do not differ.
    """
    check_generates(model)
    groups = [plus, minus]
    high, low = (encode_images(model, group) for group in groups)
    if high.shape[1:] != low.shape[1:]:
        raise DataError("the two groups have images of different sizes", id="direction.sizes-differ")
    difference = (high.mean(0) - low.mean(0)).flatten()
    if not bool(difference.any()):
        raise DataError(
            "both groups have the same code on average: no direction leads from one to the other",
            id="direction.same-code",
        )
    step = difference
    if discriminant:
        rows = torch.cat([high - high.mean(0), low - low.mean(0)]).flatten(1).double()
        within = rows.T @ rows / max(1, len(rows) - 2)
        within += 1e-2 * within.diagonal().mean() * torch.eye(len(within))
        solution = torch.linalg.solve(within, difference.double())
        step = (solution * (solution @ difference.double()) / (solution @ solution)).float()
    facts = {
        "plus": groups[0].source,
        "minus": groups[1].source,
        "images": [len(high), len(low)],
        "method": "discriminant" if discriminant else "means",
        "auc": _area_under_curve(high.flatten(1) @ step, low.flatten(1) @ step),
        "model": mark_of(model),
    }
    return CodeDirection(step.reshape(high.shape[1:]), facts)


def select_class(images: ImageSet, name: str) -> ImageSet:
    """The images of one class.

    Raises:
        UsageError: no labels, or no such class.
    """
    names = [hint.casefold() for hint in images.classes]
    if images.labels is None or name.casefold() not in names:
        class_name = nearest(name, images.classes) if images.classes else "; the images have no labels"
        raise UsageError(
            "{source} has no class '{name}'{suggestion}",
            id="direction.unknown-class",
            source=images.source,
            name=name,
            suggestion=class_name,
        )
    return images.subset((images.labels == names.index(name.casefold())).nonzero()[0])


def drop_class(images: ImageSet, name: str) -> ImageSet:
    """The images of all other classes. Raises UsageError as `select_class`."""
    chosen = set(select_class(images, name).names)
    return images.subset([i for i, image_name in enumerate(images.names) if image_name not in chosen])


@limited()
@torch.no_grad()
def shift_image(
    model: Autoencoder, image: Any, along: CodeDirection, by: Sequence[float], *, keep_detail: bool = True
) -> Pixels:
    """One image, changed by so many steps along a direction; see `isthmus.transform`.

    Returns:
        `(len(by), H, W, C)` uint8.

    Raises:
        UsageError: several images, other channels than the model's, or steps that are not finite.
        DataError: the direction is another model's.
    """
    check_generates(model)
    if not by or not all(map(math.isfinite, by)):
        raise UsageError("steps along a direction are one or more finite numbers", id="direction.steps")
    if along.facts.get("model") not in (None, mark_of(model)):
        raise DataError(
            "the direction belongs to another model, or to this one before it was trained further",
            id="direction.model-changed",
            hint=Hint.call("find_direction", "MODEL", plus="DATA", minus="DATA"),
        )
    batch, code = encode_image(model, image)
    size = (batch.shape[-2], batch.shape[-1])
    codes = torch.cat([along.shift(code, amount) for amount in by])
    images = decode_codes(model, codes, size)
    if keep_detail:
        images = images + (batch - decode_codes(model, code, size))
    return to_pixels(images)


def _area_under_curve(high: Tensor, low: Tensor) -> float:
    """Chance that a code of the first group lies farther along than one of the second (Mann and Whitney)."""
    ordered = low.sort().values
    below = torch.searchsorted(ordered, high, right=False) + torch.searchsorted(ordered, high, right=True)
    return float(below.double().mean() / (2 * len(low)))  # equal ones count half
