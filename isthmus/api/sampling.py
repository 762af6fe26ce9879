"""New images: what they are drawn from, drawing them, and what lies between given ones."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.attachments import check_fit, check_storable, store_attachments
from isthmus.api.generated_images import GeneratedImages
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLike,
    ModelLike,
    Range,
    Size,
    check_choice,
    check_count,
    describe_input,
    describe_model,
    load_model,
    open_model_and_data,
    read_image_for,
    refuse_unused,
)
from isthmus.api.reference import ReferenceKind, resolve_prior, resolve_reference
from isthmus.api.result import Result, skipped_inputs, use
from isthmus.errors import Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet, Pixels
    from isthmus.training.progress import Progress as Step

PriorKind = Literal["normal", "gaussian", "mixture", "flow"]
PathKind = Literal["linear", "spherical", "prior"]
FlowPrecision = Literal["float32", "bfloat16"]
DEFAULT_FLOW_STEPS = 6000
DEFAULT_DRAWING_STEPS = 32
DEFAULT_STRENGTH = 0.4


@dataclass(frozen=True, kw_only=True, repr=False)
class FittedPrior(Result):
    """A prior over the codes of a model, which the model now holds.

    Attributes:
        model: the model, as it was given.
        kind: `normal`, `gaussian`, `mixture` or `flow`.
        images: number of images whose codes it was fitted to.
        reference: where these come from: `data` or `training`; null where none were needed.
        classes: names of the classes that can be asked for.
        numbers: stored numbers.
        facts: how it was fitted, as the model's file says.
        seconds: time of the fit.
    """

    schema: ClassVar[str] = "isthmus.prior/1"
    document: ClassVar = {
        "model": "model",
        "kind": "kind",
        "images": "images",
        "reference": "reference",
        "classes": "classes",
        "numbers": "numbers",
        "facts": "facts",
        "seconds": "seconds",
    }

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


@dataclass(frozen=True, kw_only=True, repr=False)
class NewImages(GeneratedImages):
    """New images that were drawn from a prior.

    Attributes:
        prior: kind of the prior that was drawn from.
        reference: where it comes from: `model`, `training` or `reference`.
        label: the class that was asked for.
        like: the image that they are variations of.
        seed: as given.
    """

    schema: ClassVar[str] = "isthmus.generate/1"
    document: ClassVar = {
        "model": "model",
        "prior": "prior",
        "reference": "reference",
        "images": "count",
        "size": "size",
        "class": "label",
        "like": "like",
        "seed": "seed",
    }

    prior: str
    reference: ReferenceKind
    label: str | None
    like: str | None
    seed: int


@dataclass(frozen=True, kw_only=True, repr=False)
class InterpolatedImages(GeneratedImages):
    """Images on a path through the codes of given ones.

    Attributes:
        images: the given ones, as they were given.
        path: `linear`, `spherical` or `prior`.
        prior: kind of the prior that points were drawn back to; null for another path.
    """

    schema: ClassVar[str] = "isthmus.interpolate/1"
    document: ClassVar = {
        **{name: name for name in ("model", "images", "path", "prior")},
        "frames": "count",
    }
    formats: ClassVar[tuple[str, ...]] = (".png", ".gif", ".webp", ".npz", ".json")
    animated: ClassVar[bool] = True

    images: tuple[str, ...]
    path: PathKind
    prior: str | None

    @property
    def columns(self) -> int | None:
        return self.count if len(self.images) == 2 else None


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

    New images are drawn from it. Where the images have labels, those of one class can be asked for. A prior
    of the same kind that is there already is replaced; the network itself keeps every bit. Ctrl-C keeps the
    flow as it is then, unless the model has one already.

    Args:
        model: a model, or the path of a model file.
        data: images, usually the training images; by default these.
        kind: `normal`, the standard normal; `gaussian`, one per class; a `mixture` of Gaussians; or a learned
            `flow` (flow matching, Lipman et al. 2023) that refines a mixture.
        components: of the mixture, in all; by default 100, under a flow 400.
        steps: of the flow's training; by default 6000.
        width: of the flow's network; by default 512, for grid codes 64.
        precision: of the flow's training; bfloat16 is faster where the processor has it.
        use_labels: fit the classes apart; without it no class can be asked for.
        limit: at most so many images, evenly spaced.
        range: the samples (low, high) that stand for black and white, where they are others.
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
        if is_given and kind != "flow":
            refuse_unused(option, f"on a {kind} prior", hint=Hint.add(kind="flow"))
    if precision != "float32" and kind != "flow":
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
    stop, before = Interruption(), set(network.attachments)
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
        check_fit(stop, prior.state()[1].get("steps", 0), length, replaces=name if name in before else None)
    store_attachments(model, network, name)
    held = network.attachments[name]
    return FittedPrior(
        model=describe_model(model, network),
        kind=prior.kind,
        images=0 if images is None else len(images),
        reference=source,
        classes=tuple(prior.classes),
        numbers=sum(tensor.numel() for tensor in held.tensors.values()),
        facts={key: value for key, value in held.facts.items() if key != "base"},
        seconds=round(time.monotonic() - started, 2),
        skipped=() if images is None else skipped_inputs(images.skipped),
        complete=stop.complete,
    )


@use
def generate(
    model: ModelLike,
    count: int = 16,
    *,
    prior: PriorKind | None = None,
    like: ImageLike | None = None,
    strength: float | None = None,
    label: str | None = None,
    size: Size | None = None,
    temperature: float = 1.0,
    steps: int = DEFAULT_DRAWING_STEPS,
    reference: DataLike | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> NewImages:
    """Make new images.

    They are drawn from the model's prior (`fit_prior`). Where it has none, a mixture of Gaussians is fitted
    to the training images first, if these are found; it is used once and not kept.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        count: number of images.
        prior: which of the model's priors; by default the best it has.
        like: make variations of this image, of its size.
        strength: with `like`, how far variations go: 0 repeats the image, 1 forgets it; by default 0.4.
        label: only images of this class.
        size: of the images, where the code is a grid and the prior draws grids of any size.
        temperature: factor on the prior's noise: below 1 more usual images, above 1 more unusual ones.
        steps: of the flow's integration.
        reference: images to fit a prior to for this once, instead of what the model holds.
        range: the samples (low, high) that stand for black and white, where they are others.
        seed: the same seed gives the same images.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: no such prior or class, an impossible size or number, or a size together with `like`.
        DataError: no prior and no images to fit one to, or more than this machine's memory would hold.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.generate(model, 4, reference=images).pixels.shape
        (4, 16, 16, 1)
    """
    check_choice("prior", prior, get_args(PriorKind))
    check_count("count", count)
    check_count("steps", steps)
    if strength is not None and like is None:
        refuse_unused("strength", "without an image to vary", hint=Hint.add(like="IMAGE"))
    strength = DEFAULT_STRENGTH if strength is None else strength
    if not 0 <= strength <= 1:
        raise UsageError(
            "strength={strength:g}: a number from 0 to 1 is expected", id="option.strength", strength=strength
        )
    if not 0 <= temperature < math.inf:
        raise UsageError(
            "temperature={temperature:g}: a finite number from 0 on is expected",
            id="option.temperature",
            temperature=temperature,
        )
    if like is not None and size is not None:
        raise UsageError(
            "variations have the size of their image: leave out either size or like",
            id="option.size-and-like",
        )
    network = load_model(model)
    given = None if like is None else read_image_for(network, like, range=range)
    chosen, source = resolve_prior(network, prior, reference, range=range)
    import numpy as np

    note_bands(show, network.channels)

    from isthmus.generation.sampling import iter_samples

    parts: list[Pixels] = []
    stop = Interruption()
    with stop, start_task(progress, "drawing", count, "images") as task:
        for part in iter_samples(
            network,
            chosen,
            count,
            like=given,
            strength=strength,
            label=label,
            size=(size, size) if isinstance(size, int) else size,
            seed=seed,
            temperature=temperature,
            steps=steps,
        ):
            parts.append(part)
            task.update(sum(map(len, parts)))
    stop.check(sum(map(len, parts)), count, "image")
    return NewImages(
        model=describe_model(model, network),
        pixels=np.concatenate(parts),
        prior=chosen.kind,
        reference=source,
        label=label,
        like=None if like is None else describe_input(like),
        seed=seed,
        complete=stop.complete,
    )


@use
def interpolate(
    model: ModelLike,
    images: Sequence[ImageLike],
    *,
    frames: int = 9,
    path: PathKind = "linear",
    prior: PriorKind | None = None,
    steps: int | None = None,
    reference: DataLike | None = None,
    range: Range | None = None,
    show: Bands | None = None,
) -> InterpolatedImages:
    """Make what lies between two or more images in the code of a model.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        images: two or more; all take the size of the first.
        frames: from one image to the next, both counted.
        path: `linear`, straight; `spherical` (Shoemake 1985), which keeps the codes' length; or `prior`:
            straight, each point drawn back to where the prior has its mass.
        prior: for that path; by default the best the model has.
        steps: of a flow's integration, for that path; by default 32.
        reference: images to fit a prior to for this once, instead of what the model holds.
        range: the samples (low, high) that stand for black and white, where they are others.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: fewer than two images or frames, or another path.
        DataError: unreadable images, or no prior and no images to fit one to.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.interpolate(model, images[:3], frames=5).count
        9
    """
    check_choice("path", path, get_args(PathKind))
    check_choice("prior", prior, get_args(PriorKind))
    check_count("frames", frames, least=2)
    check_count("steps", steps)
    for option, given in (("prior", prior), ("reference", reference)):
        if path != "prior" and given is not None:
            refuse_unused(option, f"on a {path} path", hint=Hint.add(path="prior"))
    if path != "prior" and steps is not None:
        refuse_unused("steps", f"on a {path} path", hint=Hint.add(path="prior"))
    if isinstance(images, str) or len(images) < 2:
        raise UsageError("a path needs at least two images", id="interpolate.two-images")
    network = load_model(model)
    from isthmus.generation.codes import check_generates
    from isthmus.generation.sampling import interpolate_images
    from isthmus.images.conform import fit

    check_generates(network)
    given = [read_image_for(network, image, range=range) for image in images]
    note_bands(show, network.channels)
    size = (given[0].shape[0], given[0].shape[1])
    chosen = resolve_prior(network, prior, reference, range=range)[0] if path == "prior" else None
    pixels = interpolate_images(
        network,
        [fit(image, size) for image in given],
        frames=frames,
        spherical=path == "spherical",
        prior=chosen,
        steps=DEFAULT_DRAWING_STEPS if steps is None else steps,
    )
    return InterpolatedImages(
        model=describe_model(model, network),
        pixels=pixels,
        images=tuple(map(describe_input, images)),
        path=path,
        prior=None if chosen is None else chosen.kind,
    )
