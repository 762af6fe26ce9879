"""Checks of what a model file or another safetensors file holds, before it is used.

    check_tensors(tensors, {"mean": Rule("D"), "basis": Rule("k", "D"), "spread": Rule("k", low=1e-12)})
    width = whole_number(facts, "width", 1, 65_536)

A file may come from anyone. Anything that violates a rule raises `ValueError`; the module of the attachment
converts it, and all other errors in `DAMAGE`, into one `ModelFileError`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from isthmus.errors import ModelFileError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


# What reading damaged JSON as a header may raise.
HEADER_DAMAGE = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,  # RecursionError is one
)
DAMAGE = (*HEADER_DAMAGE, MemoryError)  # what using damaged facts or tensors may raise
LARGEST_VALUE = 1e18  # squares of larger ones are infinite in float32
LARGEST_CLASS_NAME = 1000  # characters
MAX_CLASSES = 65_536


@dataclass(frozen=True, init=False)
class Rule:
    """What a tensor must be.

    Attributes:
        shape: for each axis its length, or a word: equal words are equal lengths, at least 1, in all tensors.
        kind: `float` (16, 32 or 64 bits), `int64` or `uint8`.
        low, high: every value lies between them, both included.
    """

    shape: tuple[int | str, ...]
    kind: Literal["float", "int64", "uint8"]
    low: float
    high: float

    def __init__(
        self,
        *shape: int | str,
        kind: Literal["float", "int64", "uint8"] = "float",
        low: float = -LARGEST_VALUE,
        high: float = LARGEST_VALUE,
    ) -> None:
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)


def check_tensors(tensors: Mapping[str, Tensor], rules: Mapping[str, Rule], **lengths: int) -> dict[str, int]:
    """Check that there are exactly these tensors, and each by its rule.

    Args:
        lengths: of words in the rules that are known already.

    Returns:
        The length that each word stands for.

    Raises:
        ValueError: names the first that does not fit.
    """
    missing, extra = sorted(set(rules) - set(tensors)), sorted(set(tensors) - set(rules))
    if missing or extra:
        raise ValueError(f"it lacks '{missing[0]}'" if missing else f"it has an unknown tensor '{extra[0]}'")
    sizes = dict(lengths)
    for name, rule in rules.items():
        tensor = tensors[name]
        kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
        fits = kind == rule.kind and tensor.ndim == len(rule.shape)
        for length, side in zip(tensor.shape, rule.shape, strict=False):
            expected = sizes.setdefault(side, max(1, length)) if isinstance(side, str) else side
            fits = fits and length == expected
        if not fits:
            wants = ", ".join(
                str(sizes.get(side, side) if isinstance(side, str) else side) for side in rule.shape
            )
            raise ValueError(f"'{name}' is {kind} {tuple(tensor.shape)}, not {rule.kind} ({wants})")
        check_range(name, tensor, rule.low, rule.high)
    return sizes


def check_range(name: str, tensor: Tensor, low: float, high: float) -> None:
    """Raises:
    ValueError: a value that is not finite or not between `low` and `high`.
    """
    if tensor.numel() == 0:
        return
    least, most = (float(value) for value in tensor.aminmax())  # NaN where any value is
    if not (math.isfinite(least) and math.isfinite(most)):
        raise ValueError(f"'{name}' holds numbers that are not finite")
    if least < low or most > high:
        raise ValueError(f"'{name}' holds numbers out of range ({least:.3g} to {most:.3g})")


def check_state(network: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Check that tensors are a network's: names, shapes, sample types, finite values.

    Raises:
        ValueError: names the first that does not fit.
    """
    expected = network.state_dict()
    odd = sorted(set(expected) ^ set(tensors))
    if odd:
        raise ValueError(f"'{odd[0]}' is {'missing' if odd[0] in expected else 'unknown'}")
    for name, tensor in expected.items():
        tensor_given = tensors[name]
        if tensor_given.shape != tensor.shape or tensor_given.dtype != tensor.dtype:
            raise ValueError(f"'{name}' is {tuple(tensor_given.shape)}, not {tuple(tensor.shape)}")
        if tensor_given.is_floating_point():
            check_range(name, tensor_given, -LARGEST_VALUE, LARGEST_VALUE)


def check_weights(path: object, tensors: Mapping[str, Tensor]) -> None:
    """Raises:
    ModelFileError: a weight of the network is NaN or infinite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            least, most = (float(value) for value in tensor.aminmax())
            if not (math.isfinite(least) and math.isfinite(most)):
                raise ModelFileError(
                    "{path}: the model's weights are not finite ({name})",
                    id="model-file.weights-not-finite",
                    path=path,
                    name=name,
                )


def check_values(values: Tensor) -> Tensor:
    """Check the values that a network computed, and return them.

    Raises:
        ModelFileError: NaN or infinite values, which only damaged weights cause.
    """
    if values.numel():
        least, most = (float(value) for value in values.detach().aminmax())
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ModelFileError(
                "the model gives values that are not finite: its weights are damaged",
                id="model-file.values-not-finite",
            )
    return values


def whole_number(facts: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`. Raises ValueError."""
    value = facts[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} is no whole number from {low} to {high}")
    return value


def number(facts: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`. Raises ValueError."""
    value = facts[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{key} is no number from {low:g} to {high:g}")
    return float(value)


def sides(facts: Mapping[str, Any], key: str, *, count: tuple[int, int], high: int) -> tuple[int, ...]:
    """A list of `count` (fewest, most) whole numbers from 1 to `high`. Raises ValueError."""
    values = facts[key]
    if not isinstance(values, (list, tuple)) or not count[0] <= len(values) <= count[1]:
        raise ValueError(f"{key} is no list of {count[0]} to {count[1]} numbers")
    return tuple(whole_number({key: value}, key, 1, high) for value in values)


def class_names(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The list `classes`: different texts. Raises ValueError."""
    names = facts["classes"]
    if not isinstance(names, (list, tuple)) or len(names) > MAX_CLASSES:
        raise ValueError("classes is no list of names")
    if any(not isinstance(name, str) or len(name) > LARGEST_CLASS_NAME for name in names):
        raise ValueError("classes holds what is no name")
    return tuple(names)


@dataclass
class Attachment:
    """Something fitted to a trained model (a prior, a readout, an index) that travels in its file.

    `encode` and `decode` never depend on it.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
