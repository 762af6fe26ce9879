"""Fit a prior over the codes of a trained model."""

from __future__ import annotations

import time

from isthmus.errors import DataError, UsageError, nearest
from isthmus.generation.codes import check_generates, codes_of
from isthmus.generation.flow import Flow
from isthmus.generation.flow_training import STEPS, channels_of, fit_flow
from isthmus.generation.mixture import COMPONENTS, REFINED, Mixture, fit_mixture
from isthmus.generation.prior import KINDS, Prior, keep
from isthmus.generation.standard import Standard
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.training.progress import Listener


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
    if images is None:
        raise DataError("a {kind} prior needs images to be fitted to", id="prior.no-images", kind=kind)
    codes = codes_of(model, images)
    labels = images.labels if labelled else None
    classes = images.classes if labels is not None else ()
    prior: Mixture | Flow
    if kind == "flow" and codes.ndim == 4:
        base = channels_of(codes, labels, classes)
        prior = fit_flow(
            codes, base, labels=labels, steps=steps, batch=min(batch, 64), width=width, depth=depth,
            seed=seed, precision=precision, listener=listener, stop=stop,
        )  # fmt: skip
    else:
        usual = {"gaussian": max(1, len(classes)), "mixture": COMPONENTS, "flow": REFINED}[kind]
        wanted = usual if components is None or kind == "gaussian" else components
        prior = fit_mixture(codes, components=wanted, labels=labels, classes=classes, seed=seed)
        if kind == "flow":
            prior = fit_flow(
                codes, prior, labels=labels, steps=steps, batch=batch, width=width, depth=depth,
                seed=seed, precision=precision, listener=listener, stop=stop,
            )  # fmt: skip
    if not attached or (stop is not None and stop.happened and not _is_kept(model, prior)):
        return prior
    keep(model, prior)
    facts = model.attachments[f"prior/{prior.kind}"].facts
    facts |= {
        "images": len(images),
        "data": images.source,
        "fit_seconds": round(time.monotonic() - started, 1),
    }
    return prior


def _is_kept(model: Autoencoder, prior: Mixture | Flow) -> bool:
    """Whether a prior whose training was interrupted is better than what the model has: none of its kind."""
    trained = isinstance(prior, Flow) and prior.facts["steps"] > 0
    return trained and f"prior/{prior.kind}" not in model.attachments
