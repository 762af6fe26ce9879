"""New images, drawn from a prior over the codes of a model."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

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
    read_image_for,
    refuse_unused,
)
from isthmus.api.priors import PriorKind
from isthmus.api.reference import ReferenceKind, resolve_prior
from isthmus.api.result import keys, use
from isthmus.errors import Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import collected_skipped, log_note
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.images.store import Pixels
DEFAULT_DRAWING_STEPS = 32
DEFAULT_STRENGTH = 0.4


@dataclass(frozen=True, kw_only=True, repr=False)
class NewImages(GeneratedImages):
    """New images that were drawn from a prior.

    Attributes:
        prior: kind of the prior that was drawn from.
        reference: where it comes from: `model`, `training` or `reference`.
        label: the class that was chosen.
        like: the image that they are variations of.
        seed: as given.
        copied: share of what the prior draws that lies nearer to one of its training images than nearly all
            of these lie to each other, as measured when it was fitted; by chance .05. Null where it is not
            known.
        fit_seconds: how long the prior took that was fitted for this once; null where the model has one.
    """

    schema: ClassVar[str] = "isthmus.generate/1"
    document: ClassVar = {
        **keys("model prior reference", images="count", size="size"),
        "class": "label",
        **keys("like seed copied fit_seconds"),
    }

    prior: str
    copied: float | None
    fit_seconds: float | None
    reference: ReferenceKind
    label: str | None
    like: str | None
    seed: int

    def summary(self) -> str:
        fitted = "" if self.fit_seconds is None else f"; the prior took {self.fit_seconds:.1f} s to fit"
        return super().summary() + fitted


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
    guidance: float = 1.0,
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
        strength: with `like`, how far variations go: 0 repeats the image, but for detail that a
            `generative` model draws again; 1 forgets it; by default 0.4.
        label: only images of this class.
        size: of the images. They are drawn so where the code is a grid and the prior draws grids of any
            size; images of a vector code are resized.
        temperature: factor on the prior's noise: below 1 more usual images, above 1 more unusual ones.
        guidance: how much the class, or the part of the prior, is pronounced: above 1 images are more typical
            of it and vary less; for attention priors, and for the flow of a `generative` model.
        steps: of the flow's integration.
        reference: images to fit a prior to for this once, instead of what the model holds.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
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
            "strength={strength:g}: expected a number from 0 to 1", id="option.strength", strength=strength
        )
    if not 0 <= temperature < math.inf:
        raise UsageError(
            "temperature={temperature:g}: expected a finite number of at least 0",
            id="option.temperature",
            temperature=temperature,
        )
    if like is not None and size is not None:
        raise UsageError(
            "variations have the size of their image: leave out either size or like",
            id="option.size-and-like",
        )
    network = load_model(model)
    like_pixels = None if like is None else read_image_for(network, like, range=range)
    started = time.monotonic()
    chosen, source = resolve_prior(network, prior, reference, range=range)
    fit_seconds = None if source == "model" else round(time.monotonic() - started, 2)
    import numpy as np

    note_bands(show, network.channels)

    from isthmus.generation.prior_store import MAX_USUAL_SHARE
    from isthmus.generation.sampling import iter_samples

    parts: list[Pixels] = []
    stop = Interruption()
    with stop, start_task(progress, "drawing", count, "images") as task:
        for part in iter_samples(
            network,
            chosen,
            count,
            like=like_pixels,
            strength=strength,
            label=label,
            size=(size, size) if isinstance(size, int) else size,
            seed=seed,
            temperature=temperature,
            guidance=guidance,
            steps=steps,
        ):
            parts.append(part)
            task.update(sum(map(len, parts)))
    stop.check(sum(map(len, parts)), count, "image")
    attached = network.attachments.get(f"prior/{chosen.kind}") if source == "model" else None
    copied = None if attached is None else attached.facts.get("copied")
    if copied is not None and copied > MAX_USUAL_SHARE:
        log_note(
            "{share:.0%} of what this prior draws lies nearly on a training image (by chance 5 %): compare "
            "new images with the training images before you share them",
            id="generation.memorised",
            share=copied,
        )
    return NewImages(
        model=describe_model(model, network),
        pixels=np.concatenate(parts),
        prior=chosen.kind,
        copied=copied,
        fit_seconds=fit_seconds,
        reference=source,
        label=label,
        like=None if like is None else describe_input(like),
        seed=seed,
        skipped=collected_skipped(),
        complete=stop.complete,
    )
