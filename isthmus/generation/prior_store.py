"""Fit a prior to the codes of a trained model; attach priors to a model and read them back."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, ModelFileError, UsageError, nearest, one_line
from isthmus.generation.codes import check_generates, encode_images
from isthmus.generation.flow import Flow
from isthmus.generation.flow_training import STEPS, fit_channels, fit_flow
from isthmus.generation.mixture import COMPONENTS, FLOW_COMPONENTS, Mixture, fit_mixture
from isthmus.generation.prior import KINDS, Prior, StandardNormal, draw_codes, pad_size
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.metrics.neighbours import find_neighbours
from isthmus.model.attachment_check import DAMAGE
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.training.callbacks import Listener

COMPARED_CODES = 500
NEAR_QUANTILE = 0.05
MAX_USUAL_SHARE = 0.15  # of copies; above it a prior is said to repeat its images
DRAWING_STEPS = 16


def measure_copies(prior: Prior, codes: Tensor, seed: int = 0) -> float:
    """Share of draws nearer to a given code than all but 5 % of the given codes are to one another.

    By chance .05: an unseen image's code is as far from the given ones as these are from each other. A prior
    that repeats what it was fitted to comes near 1.

    Args:
        codes: `(N, …)` that the prior was fitted to, at least three.
    """
    flat = codes.flatten(1).float()
    scale = flat.std(0).clamp_min(1e-6 * flat.std().clamp_min(1e-12))
    flat = flat / scale  # each number counts alike, whatever its unit
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(flat), generator=generator)[:COMPARED_CODES]
    # Of each code the second neighbour is taken: the first is the code itself.
    usual = find_neighbours(flat[chosen], flat, count=2, dtype=torch.float32)[0][:, 1]
    drawn = draw_codes(prior, codes.shape[1:], COMPARED_CODES, seed=seed, steps=DRAWING_STEPS)
    near = find_neighbours(drawn.flatten(1) / scale, flat, dtype=torch.float32)[0][:, 0]
    return float((near < usual.quantile(NEAR_QUANTILE)).double().mean())


@limited()
def fit_prior(
    model: Autoencoder,
    images: ImageSet | None,
    *,
    kind: str = "flow",
    components: int | None = None,
    steps: int = STEPS,
    width: int | None = None,
    depth: int | None = None,
    batch: int = 512,
    seed: int = 0,
    precision: str = "float32",
    labelled: bool = True,
    attached: bool = True,
    listener: Listener | None = None,
    stop: Interruption | None = None,
) -> Prior:
    """Fit a prior to the codes of images.

    Args:
        model: trained, with real-valued codes.
        images: usually the training images. Where they have labels the prior knows classes. The kind `normal`
            needs none.
        kind: `gaussian` (one per class), `mixture` of Gaussians, or `flow`, which is learned and refines a
            mixture (of a vector code; of a grid code its channels, and then it draws grids of any size).
            `attention` is a flow over grid codes of one size, which refines a Gaussian per class.
        components: of the mixture; by default 100, and 400 where a flow refines it.
        steps, width, depth, batch, precision: of the flow's training.
        labelled: whether labels are used.
        attached: attach it to the model; `model.save` then writes it with it.
        listener: called during the flow's training.
        stop: ends the flow's training at Ctrl-C; the flow until then is attached where there was none before.

    Raises:
        CapabilityError: the model cannot generate, or its codes are discrete.
        UsageError: an unknown kind.
        DataError: fewer than two images.
    """
    _check_kind(kind)
    check_generates(model)
    started = time.monotonic()
    if kind == "normal":
        normal = StandardNormal()
        if attached:
            attach_prior(model, normal)
        return normal
    if images is None:
        raise DataError("a {kind} prior needs images to be fitted to", id="prior.no-images", kind=kind)
    codes = encode_images(model, images)
    labels = images.labels if labelled else None
    classes = images.classes if labels is not None else ()
    refine = partial(
        fit_flow, codes, labels=labels, steps=steps, width=width, depth=depth, seed=seed,
        precision=precision, listener=listener, stop=stop,
    )  # fmt: skip
    prior: Mixture | Flow
    if kind == "attention":
        if codes.ndim != 4:
            raise UsageError(
                "an attention prior is for grid codes, and this model's is a vector",
                id="prior.attention-vector",
                hint=Hint.add(kind="flow"),
            )
        gaussian = fit_mixture(codes, components=1, labels=labels, classes=classes, seed=seed)
        prior = refine(gaussian, batch=min(batch, 64), attends=True, guided=True)
    elif kind == "flow" and codes.ndim == 4:
        prior = refine(fit_channels(codes, labels, classes), batch=min(batch, 64))
    else:
        usual = {"gaussian": max(1, len(classes)), "mixture": COMPONENTS, "flow": FLOW_COMPONENTS}[kind]
        count = usual if components is None or kind == "gaussian" else components
        prior = fit_mixture(codes, components=count, labels=labels, classes=classes, seed=seed)
        if kind == "flow":
            prior = refine(prior, batch=batch, guided=model.recipe.backbone.wants_prior)
    if not attached or (stop is not None and stop.happened and not _is_kept(model, prior)):
        return prior
    attach_prior(model, prior)
    facts = model.attachments[f"prior/{prior.kind}"].facts
    facts |= {
        "images": len(images),
        "data": images.source,
        "copied": round(measure_copies(prior, codes, seed), 3) if len(codes) > 2 else None,
        "fit_seconds": round(time.monotonic() - started, 1),
    }
    return prior


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in KINDS:
        raise UsageError(
            "prior '{kind}' is not known{suggestion}",
            id="prior.unknown-kind",
            kind=kind,
            suggestion=nearest(kind, KINDS),
        )


def _is_kept(model: Autoencoder, prior: Mixture | Flow) -> bool:
    """Whether a prior whose training was interrupted is better than what the model has: none of its kind."""
    trained = isinstance(prior, Flow) and prior.facts["steps"] > 0
    return trained and f"prior/{prior.kind}" not in model.attachments


def attach_prior(model: Autoencoder, prior: Prior) -> None:
    """Attach a prior to a model in memory; `model.save` writes it, `attach` puts it into a file."""
    tensors, facts = prior.state()
    attach(model, f"prior/{prior.kind}", tensors, facts)


def list_priors(model: Autoencoder) -> tuple[str, ...]:
    """Kinds of the priors that the model can be asked for, the best first."""
    kinds = [kind for kind in reversed(KINDS) if f"prior/{kind}" in model.attachments]
    if not kinds and _targets_normal(model):
        return ("normal",)
    return tuple(kinds)


def read_prior(model: Autoencoder, kind: str | None = None) -> Prior:
    """A model's prior: the one of that kind, or the best it has.

    A variational or adversarial model was trained towards the standard normal; without a fitted prior that
    is its own.

    Raises:
        UsageError: an unknown kind, one that was not fitted, or none at all.
        ModelFileError: the attachment is damaged.
    """
    _check_kind(kind)
    have = list_priors(model)
    chosen = kind or (have[0] if have else None)
    if chosen is None:
        raise UsageError(
            "this model has no prior over its codes yet",
            id="prior.missing",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA"),
        )
    if chosen == "normal":
        return StandardNormal()
    attachment = model.attachments.get(f"prior/{chosen}")
    if attachment is None:
        raise UsageError(
            "this model has no {chosen} prior (it has: {attached})",
            id="prior.kind-missing",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA", kind=chosen),
            chosen=chosen,
            attached=", ".join(have) or "none",
        )
    try:
        restore = Flow.from_state if chosen in ("flow", "attention") else Mixture.from_state
        prior = restore(attachment.tensors, attachment.facts)
        shape = tuple(model.recipe.geometry.shape(pad_size(model, model.size)))
        codes = draw_codes(prior, shape, 1, steps=1)
        if codes.shape != (1, *shape):
            raise ValueError(f"codes {tuple(codes.shape)} where the model has {shape}")
        noise = prior.to_noise(codes, prior.parts_of(codes), steps=1)
        if not bool(codes.isfinite().all()) or not bool(noise.isfinite().all()):
            raise ValueError("it gives codes that are not finite")
    except DAMAGE as error:
        raise ModelFileError(
            "the model's {kind} prior is damaged or another model's ({reason})",
            id="prior.damaged",
            kind=chosen,
            reason=one_line(error),
        ) from error
    return prior


def _targets_normal(model: Autoencoder) -> bool:
    recipe = model.recipe
    return recipe.critic.targets_normal or recipe.bottleneck.targets_normal
