"""Fit a prior over the codes of a trained model."""

from __future__ import annotations

import time
from typing import Any

from isthmus.errors import UsageError, nearest
from isthmus.generation.codes import check_generates, codes_of
from isthmus.generation.flow import Flow
from isthmus.generation.flow_training import STEPS, channels_of, fit_flow
from isthmus.generation.mixture import COMPONENTS, REFINED, Mixture, fit_mixture
from isthmus.generation.prior import KINDS, Prior, keep
from isthmus.generation.standard import Standard
from isthmus.images.reading import read
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.training.progress import Listener


@limited()
def fit_prior(
    model: Autoencoder,
    data: Any,
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
) -> Prior:
    """Fit a prior to the codes of images.

    Args:
        model: trained, with real-valued codes.
        data: what `isthmus.read` takes; usually the training images. Where they have labels the prior knows
            classes.
        kind: `gaussian` (one per class), `mixture` of Gaussians, or `flow`, which is learned and refines a
            mixture (of a vector code; of a grid code its channels, and then it draws grids of any size).
        components: of the mixture; by default 100, and 400 where a flow refines it.
        steps, width, depth, batch, precision: of the flow's training.
        labelled: whether labels are used.
        attached: attach it to the model; `model.save` then writes it with it.
        listener: called during the flow's training.

    Raises:
        CapabilityError: the model cannot generate, or its codes are discrete.
        UsageError: an unknown kind.
        DataError: unreadable images, or fewer than two.
    """
    if kind not in KINDS:
        raise UsageError(
            "prior '{kind}' is not known{suggestion}",
            id="prior.unknown-kind",
            kind=kind,
            suggestion=nearest(kind, KINDS),
        )
    check_generates(model)
    started = time.monotonic()
    if kind == "normal":
        normal = Standard()
        if attached:
            keep(model, normal)
        return normal
    images = read(data)
    codes = codes_of(model, images)
    labels = images.labels if labelled else None
    classes = images.classes if labels is not None else ()
    prior: Mixture | Flow
    if kind == "flow" and codes.ndim == 4:
        base = channels_of(codes, labels, classes)
        prior = fit_flow(
            codes, base, labels=labels, steps=steps, batch=min(batch, 64), width=width, depth=depth,
            seed=seed, precision=precision, listener=listener,
        )  # fmt: skip
    else:
        usual = {"gaussian": max(1, len(classes)), "mixture": COMPONENTS, "flow": REFINED}[kind]
        wanted = usual if components is None or kind == "gaussian" else components
        prior = fit_mixture(codes, components=wanted, labels=labels, classes=classes, seed=seed)
        if kind == "flow":
            prior = fit_flow(
                codes, prior, labels=labels, steps=steps, batch=batch, width=width, depth=depth,
                seed=seed, precision=precision, listener=listener,
            )  # fmt: skip
    if not attached:
        return prior
    keep(model, prior)
    facts = model.attachments[f"prior/{prior.kind}"].facts
    facts |= {
        "images": len(images),
        "data": images.source,
        "fit_seconds": round(time.monotonic() - started, 1),
    }
    return prior
