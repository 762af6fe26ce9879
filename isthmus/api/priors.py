"""Priors: what the codes of a model are drawn from, fitted to images and kept in the model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.attachments import check_fit, check_storable, store_attachments
from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    Range,
    check_choice,
    check_count,
    describe_model,
    load_model,
    open_model_and_data,
    refuse_unused,
)
from isthmus.api.reference import ReferenceKind, resolve_reference
from isthmus.api.result import Result, skipped_inputs, use
from isthmus.errors import Hint
from isthmus.interruption import Interruption
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.training.callbacks import Progress as Step

PriorKind = Literal["normal", "gaussian", "mixture", "flow", "attention"]
LEARNED_KINDS = ("flow", "attention")
FlowPrecision = Literal["float32", "bfloat16"]
DEFAULT_FLOW_STEPS = 6000


@dataclass(frozen=True, kw_only=True, repr=False)
class FittedPrior(Result):
    """A prior over the codes of a model, which the model now holds.

    Attributes:
        model: the model, as it was given.
        kind: `normal`, `gaussian`, `mixture`, `flow` or `attention`.
        images: number of images whose codes it was fitted to.
        reference: where these come from: `data` or `training`; null where none were needed.
        classes: names of the classes that can be chosen.
        numbers: stored numbers.
        facts: how it was fitted, as stored in the model's file.
        seconds: time of the fit.
    """

    schema: ClassVar[str] = "isthmus.prior/1"

    model: str
    kind: str
    images: int
    reference: ReferenceKind | None
    classes: tuple[str, ...]
    numbers: int
    facts: dict[str, Any] = field(repr=False)
    seconds: float

    def summary(self) -> str:
        classes = f", {format_count(len(self.classes), 'class', 'classes')}" if self.classes else ""
        return f"{self.kind} prior of {format_count(self.images, 'code')}{classes} is in {self.model}"


@rename_keywords(labelled="use_labels")
@use
def fit_prior(
    model: ModelLike,
    data: DataLike | None = None,
    *,
    kind: PriorKind = "flow",
    components: int | None = None,
    steps: int | None = None,
    width: int | None = None,
    precision: FlowPrecision = "float32",
    use_labels: bool = True,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FittedPrior:
    """Fit a prior over the codes of a model, and keep it in the model and its file.

    New images are drawn from it. If the images have labels, images of one class can be drawn. A prior
    of the same kind that is there already is replaced; the network itself keeps every bit. Ctrl-C keeps the
    flow as it is then, unless the model has one already.

    Args:
        model: a model, or the path of a model file.
        data: images, usually the training images; by default these.
        kind: `normal`, the standard normal; `gaussian`, one per class; a `mixture` of Gaussians; or a learned
            `flow` (flow matching, Lipman et al. 2023) that refines a mixture; `attention` is one over grid
            codes of one size.
        components: of the mixture, in all; by default 100, under a flow 400.
        steps: of the flow's training; by default 6000.
        width: of the flow's network; by default 512, for grid codes 64, with attention 128.
        precision: of the flow's training; bfloat16 is faster where the processor has it.
        use_labels: fit each class separately; without it no class can be chosen.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of the fit.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate, or its codes are discrete.
        UsageError: an unknown kind, or a shipped model, whose file stays as it is.
        DataError: unreadable images, fewer than two, or no data and no training images.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.fit_prior(model, images, kind="mixture", components=2).kind
        'mixture'
    """
    check_choice("prior", kind, get_args(PriorKind))
    check_choice("precision", precision, get_args(FlowPrecision))
    check_count("components", components)
    check_count("steps", steps)
    check_count("width", width, least=8)
    for option, is_given in (("steps", steps is not None), ("width", width is not None)):
        if is_given and kind not in LEARNED_KINDS:
            refuse_unused(option, f"on a {kind} prior", hint=Hint.add(kind="flow"))
    if precision != "float32" and kind not in LEARNED_KINDS:
        refuse_unused("precision", f"on a {kind} prior", hint=Hint.add(kind="flow"))
    if components is not None and kind in ("normal", "gaussian"):
        refuse_unused("components", f"on a {kind} prior", hint=Hint.add(kind="mixture"))
    for option, is_given in (("limit", limit is not None), ("range", range is not None)):
        if is_given and data is None:
            refuse_unused(option, "without images", hint=Hint.call("fit_prior", "MODEL", "DATA"))
    check_storable(model)
    from isthmus.generation.codes import check_generates
    from isthmus.generation.prior_store import fit_prior as fit

    images: ImageSet | None = None
    source: ReferenceKind | None = "data"
    if data is not None:
        network, images = open_model_and_data(model, data, limit=limit, range=range)
    else:
        network = load_model(model)
        if kind == "normal":
            source = None
        else:
            images, source = resolve_reference(
                network, None, purpose="a prior needs images to be fitted to", option="data"
            )
    check_generates(network)
    length = steps or DEFAULT_FLOW_STEPS
    stop, attached_before = Interruption(), set(network.attachments)
    started = time.monotonic()
    with start_task(progress, "fitting", length, "steps") as task:

        def show_step(step: Step) -> None:
            error = step.losses.get("velocity")
            task.update(step.step, f"velocity error {error:.4f}" if error is not None else "")

        prior = fit(
            network,
            images,
            kind=kind,
            components=components,
            steps=length,
            width=width,
            seed=seed,
            precision=precision,
            labelled=use_labels,
            listener=show_step,
            stop=stop,
        )
    name = f"prior/{prior.kind}"
    if stop.happened:
        check_fit(
            stop, prior.state()[1].get("steps", 0), length, replaces=name if name in attached_before else None
        )
    store_attachments(model, network, name)
    attachment = network.attachments[name]
    return FittedPrior(
        model=describe_model(model, network),
        kind=prior.kind,
        images=0 if images is None else len(images),
        reference=source,
        classes=tuple(prior.classes),
        numbers=sum(tensor.numel() for tensor in attachment.tensors.values()),
        facts={key: value for key, value in attachment.facts.items() if key != "base"},
        seconds=round(time.monotonic() - started, 2),
        skipped=() if images is None else skipped_inputs(images.skipped),
        complete=stop.complete,
    )
