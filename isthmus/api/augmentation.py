"""More labelled images from labelled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.generated_images import GeneratedImages
from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    Range,
    check_count,
    describe_model,
    open_model_and_data,
    refuse_unused,
)
from isthmus.api.result import keys, skipped_inputs, use
from isthmus.errors import Hint
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.images.store import ImageSet

DEFAULT_DISTORTIONS = ("shift", "flip")


@dataclass(frozen=True, kw_only=True, repr=False)
class AugmentedImages(GeneratedImages):
    """New labelled images.

    It is saved as `.npz` with the arrays `images` and `labels`, or as a folder with one sub-folder per class.

    Attributes:
        asked: how many were asked for; null with `balance`.
        wanted: how many were to be made: more than there are where too many had to be dropped.
        classes: number of new images, by class.
        dropped: how many were made and not kept: `strange` ones are reconstructed worse than nearly all real
            images, `copied` ones are almost a real image, `foreign` ones lie nearest to another class.
        images: the new images with labels, classes and names, which state how each was made.
    """

    schema: ClassVar[str] = "isthmus.augment/1"
    document: ClassVar = keys("model", images="count") | keys("asked classes dropped")
    formats: ClassVar[tuple[str, ...]] = (".npz", ".json")
    labelled: ClassVar[bool] = True

    asked: int | None
    wanted: int
    dropped: dict[str, int]
    images: ImageSet = field(repr=False)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """`(N,)` int64 indices into `images.classes`."""
        assert self.images.labels is not None
        return self.images.labels

    @property
    def classes(self) -> Mapping[str, int]:
        return {name: int((self.labels == k).sum()) for k, name in enumerate(self.images.classes)}

    def summary(self) -> str:
        lost = ", ".join(f"{number} {reason}" for reason, number in self.dropped.items() if number)
        return format_count(self.count, "new image") + (f" (dropped: {lost})" if lost else "")

    def arrays(self) -> dict[str, Any]:
        """`images (N, H, W, C)` uint8 and `labels (N,)`."""
        return {"images": self.pixels, "labels": self.labels}

    def _classes(self) -> dict[str, Any]:
        return {"labels": self.labels, "classes": self.images.classes}


@use
def augment(
    model: ModelLike,
    data: DataLike,
    count: int | None = None,
    *,
    methods: Sequence[str] = ("mixup", "moves"),
    distortions: Sequence[str] = DEFAULT_DISTORTIONS,
    also_distort: bool = False,
    balance: bool = False,
    filtered: bool = True,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AugmentedImages:
    """Make new labelled images like given ones.

    The model need not have seen labels, and is best trained on many images of the kind. What it cannot
    reconstruct well, what lies nearest to another class, and copies are dropped and made again.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: labelled images of one size (a vector code resizes others to its own).
        count: new images, shared out evenly over the classes.
        methods: taken in turns: `mixup` goes between an image and a neighbour of its class; `moves` adds half
            the difference of two images of any one class; `samples` draws from the model's prior, if it
            knows the classes, else from a Gaussian mixture per class; `distortions` are the classic changes.
        distortions: classic changes: shift, flip, rotate, zoom, brightness, contrast, noise, cutout.
        also_distort: apply these to the images of the other methods as well.
        balance: instead of a count, fill every class up to the largest.
        filtered: drop copies, what the model reconstructs worse than nearly all real images, and what lies
            nearest to another class.
        limit: begin with at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: the same seed gives the same images.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: an unknown method, or not exactly one of a count and `balance`.
        DataError: no labels, a class with a single image where `mixup` needs two, with `balance` classes that
            are of one size already, or every image was dropped.

    Examples:
        >>> import isthmus
        >>> images = isthmus.read("fashion-sample:test")
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.augment(model, images, 20, filtered=False).count
        20
    """
    check_count("count", count)
    classic = "distortions" in methods
    if tuple(distortions) != DEFAULT_DISTORTIONS and not classic and not also_distort:
        refuse_unused("distortions", "on these methods", hint=Hint.add(also_distort=True))
    if also_distort and set(methods) == {"distortions"}:
        refuse_unused("also_distort", "where distortions are the only method")
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    import numpy as np

    from isthmus.generation.augmentation import Augmentation

    work = Augmentation(
        network,
        images,
        count,
        methods=tuple(methods),
        distortions=tuple(distortions),
        also_distort=also_distort,
        balance=balance,
        filtered=filtered,
        seed=seed,
    )
    stop = Interruption()
    with stop, start_task(progress, "making images", work.requested, "images") as task:
        for count_made in work.run():
            task.update(count_made)
    stop.check(len(work), work.requested, "image")
    augmented = work.finish()
    new_images = augmented.images
    if len(new_images) < augmented.requested and not stop.happened:
        log_note(
            "only {made} of {wanted} images were made: all others were dropped",
            id="augment.dropped",
            made=len(new_images),
            wanted=augmented.requested,
        )
    return AugmentedImages(
        model=describe_model(model, network),
        pixels=new_images.stack(np.arange(len(new_images))),
        asked=count,
        wanted=augmented.requested,
        dropped=augmented.dropped,
        images=new_images,
        skipped=skipped_inputs(images.skipped),
        complete=stop.complete,
    )
