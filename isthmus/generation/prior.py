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

from isthmus.errors import Hint, ModelFileError, UsageError, nearest
from isthmus.model.attachment_check import DAMAGE
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Attachment, Autoencoder

KINDS = ("normal", "gaussian", "mixture", "flow")
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

    def stored(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts to be attached."""
        ...


def draw(
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
    """The codes of `draw`, in parts of `batch`."""
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
            "this model's {prior} prior knows no classes: it was fitted without labels",
            id="prior.no-classes",
            hint=Hint.call("fit_prior", "MODEL", "LABELLED-DATA"),
            prior=prior.kind,
        )
    names = [known.casefold() for known in prior.classes]
    if name.casefold() in names:
        return names.index(name.casefold())
    raise UsageError(
        "no class is called '{name}'{suggestion}",
        id="prior.unknown-class",
        name=name,
        suggestion=nearest(name, prior.classes),
    )


def keep(model: Autoencoder, prior: Prior) -> None:
    """Attach a prior to a model in memory; `model.save` writes it, `attach` puts it into a file."""
    tensors, facts = prior.stored()
    attach(model, f"prior/{prior.kind}", tensors, facts)


def kept(model: Autoencoder) -> tuple[str, ...]:
    """Kinds of the priors that the model can be asked for, the best first."""
    found = [kind for kind in reversed(KINDS) if f"prior/{kind}" in model.attachments]
    if not found and _made_for_normal(model):
        return ("normal",)
    return tuple(found)


def prior_of(model: Autoencoder, kind: str | None = None) -> Prior:
    """A model's prior: the one of that kind, or the best it has.

    A variational or adversarial model was trained towards the standard normal; without a fitted prior that
    is its own.

    Raises:
        UsageError: an unknown kind, one that was not fitted, or none at all.
        ModelFileError: the attachment is damaged.
    """
    from isthmus.generation.standard import Standard

    if kind is not None and kind not in KINDS:
        raise UsageError(
            "prior '{kind}' is not known{suggestion}",
            id="prior.unknown-kind",
            kind=kind,
            suggestion=nearest(kind, KINDS),
        )
    have = kept(model)
    chosen = kind or (have[0] if have else None)
    if chosen is None:
        raise UsageError(
            "this model has no prior over its codes yet",
            id="prior.missing",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA"),
        )
    if chosen == "normal":
        return Standard()
    attachment = model.attachments.get(f"prior/{chosen}")
    if attachment is None:
        raise UsageError(
            "this model has no {chosen} prior (it has: {attached})",
            id="prior.kind-missing",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA", kind=chosen),
            chosen=chosen,
            attached=", ".join(have) or "none",
        )
    return _restored(model, chosen, attachment)


def _restored(model: Autoencoder, kind: str, attachment: Attachment) -> Prior:
    from isthmus.generation.flow import Flow
    from isthmus.generation.mixture import Mixture

    try:
        restore = Flow.restored if kind == "flow" else Mixture.restored
        prior = restore(attachment.tensors, attachment.facts)
        shape = tuple(model.recipe.geometry.shape(padded(model, model.size)))
        codes = draw(prior, shape, 1, steps=1)
        if codes.shape != (1, *shape):
            raise ValueError(f"codes {tuple(codes.shape)} where the model has {shape}")
        noise = prior.to_noise(codes, prior.parts_of(codes), steps=1)
        if not bool(codes.isfinite().all()) or not bool(noise.isfinite().all()):
            raise ValueError("it gives codes that are not finite")
    except DAMAGE as error:
        why = " ".join(str(error).split())[:200]
        raise ModelFileError(
            "the model's {kind} prior is damaged or another model's ({reason})",
            id="prior.damaged",
            kind=kind,
            reason=why,
        ) from error
    return prior


def padded(model: Autoencoder, size: tuple[int, int]) -> tuple[int, int]:
    """The size that images of `size` have inside the model, where its backbone needs certain multiples."""
    height, width = (-(-side // model.multiple) * model.multiple for side in size)
    return height, width


def _made_for_normal(model: Autoencoder) -> bool:
    recipe = model.recipe
    return recipe.critic.targets_normal or recipe.bottleneck.targets_normal
