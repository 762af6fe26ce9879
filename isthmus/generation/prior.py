"""What a prior over codes is, and how it travels in the model's file.

A prior turns noise into codes and codes back into noise. `part` says which piece of the prior a code belongs
to (a component of a mixture, a class); drawing picks parts by their weight. A fitted prior is an attachment
`prior/KIND` of the model: encoding and decoding never depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from isthmus.errors import Hint, UsageError, nearest
from isthmus.model.autoencoder import Autoencoder

KINDS = ("normal", "gaussian", "mixture", "flow", "attention")

STEPS = 32


class Prior(Protocol):
    """A distribution of codes.

    Attributes:
        kind: one of `KINDS`.
        classes: names of the classes it can be asked for; empty where it knows none.
    """

    @property
    def kind(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:
        """`(count,)` int64: parts drawn by their weight, of one class or of all."""
        ...

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:
        """`(N,)` int64: the likeliest part of each code."""
        ...

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        """Standard normal noise, shaped like codes → codes."""
        ...

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        """Codes → the noise that `from_noise` makes them from."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts to be attached."""
        ...


def draw_codes(
    prior: Prior,
    shape: Sequence[int],
    count: int,
    *,
    label: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    steps: int = STEPS,
) -> Tensor:
    """`(count, *shape)` codes drawn from a prior.

    Args:
        shape: of one code.
        label: index into the prior's classes; None for all of them in their proportions.
        temperature: factor on the noise: below 1 nearer to what is usual, above 1 farther off.
        steps: of the flow's integration; other priors take none.
    """
    drawn = iter_drawn(
        prior, shape, count, batch=count, label=label, seed=seed, temperature=temperature, steps=steps
    )
    return torch.cat(list(drawn))


def iter_drawn(
    prior: Prior,
    shape: Sequence[int],
    count: int,
    *,
    batch: int,
    label: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    steps: int = STEPS,
) -> Iterator[Tensor]:
    """The codes of `draw_codes`, in parts of `batch`."""
    generator = torch.Generator().manual_seed(seed)
    parts = prior.parts(count, label, generator)
    noise = torch.randn(count, *shape, generator=generator) * temperature
    for some, part in zip(torch.split(noise, batch), torch.split(parts, batch), strict=True):
        yield prior.from_noise(some, part, steps=steps)


def class_index(prior: Prior, name: str) -> int:
    """Which class a name means.

    Raises:
        UsageError: the prior knows no classes, or not this one.
    """
    if not prior.classes:
        raise UsageError(
            "this model's {prior} prior has no classes: it was fitted without labels",
            id="prior.no-classes",
            hint=Hint.call("fit_prior", "MODEL", "LABELLED-DATA"),
            prior=prior.kind,
        )
    names = [class_name.casefold() for class_name in prior.classes]
    if name.casefold() in names:
        return names.index(name.casefold())
    raise UsageError(
        "no class is called '{name}'{suggestion}",
        id="prior.unknown-class",
        name=name,
        suggestion=nearest(name, prior.classes),
    )


def pad_size(model: Autoencoder, size: tuple[int, int]) -> tuple[int, int]:
    """The size that images of `size` have inside the model, where its backbone needs certain multiples."""
    height, width = (-(-side // model.multiple) * model.multiple for side in size)
    return height, width


class StandardNormal:
    """Codes are the noise itself."""

    kind = "normal"
    classes: tuple[str, ...] = ()

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return torch.zeros(count, dtype=torch.int64)

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:  # noqa: ARG002
        return torch.zeros(len(codes), dtype=torch.int64)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return noise

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return codes

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"kind": self.kind}
