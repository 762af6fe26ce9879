"""Images on a path through the code of a model, between given images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from isthmus.api.generated_images import GeneratedImages
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLike,
    ModelLike,
    Range,
    check_choice,
    check_count,
    describe_input,
    describe_model,
    load_model,
    read_image_for,
    refuse_unused,
)
from isthmus.api.priors import PriorKind
from isthmus.api.reference import resolve_prior
from isthmus.api.result import keys, use
from isthmus.api.sampling import DEFAULT_DRAWING_STEPS
from isthmus.errors import Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.log import collected_skipped

PathKind = Literal["linear", "spherical", "prior"]


@dataclass(frozen=True, kw_only=True, repr=False)
class InterpolatedImages(GeneratedImages):
    """Images on a path through the codes of given ones.

    Attributes:
        images: the given ones, as they were given.
        path: `linear`, `spherical` or `prior`.
        prior: kind of the prior that points were drawn back to; null for another path.
    """

    schema: ClassVar[str] = "isthmus.interpolate/1"
    document: ClassVar = keys("model images path prior", frames="count")
    formats: ClassVar[tuple[str, ...]] = (".png", ".gif", ".webp", ".npz", ".json")
    animated: ClassVar[bool] = True

    images: tuple[str, ...]
    path: PathKind
    prior: str | None

    @property
    def columns(self) -> int | None:
        return self.count if len(self.images) == 2 else None


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
    """Make the images between two or more images in the code of a model.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        images: two or more; all take the size of the first.
        frames: from one image to the next, both counted.
        path: `linear`, straight; `spherical` (Shoemake 1985), which keeps the codes' length; or `prior`:
            straight, each point drawn back to where the prior has its mass.
        prior: for that path; by default the best the model has.
        steps: of a flow's integration, for that path; by default 32.
        reference: images to fit a prior to for this once, instead of what the model holds.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
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
    for option, value in (("prior", prior), ("reference", reference)):
        if path != "prior" and value is not None:
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
    pixels_of_images = [read_image_for(network, image, range=range) for image in images]
    note_bands(show, network.channels)
    size = (pixels_of_images[0].shape[0], pixels_of_images[0].shape[1])
    chosen = resolve_prior(network, prior, reference, range=range)[0] if path == "prior" else None
    pixels = interpolate_images(
        network,
        [fit(image, size) for image in pixels_of_images],
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
        skipped=collected_skipped(),
    )
