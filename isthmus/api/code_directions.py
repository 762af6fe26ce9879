"""Directions in the code that represent an attribute: learned from two groups of images, and applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from isthmus.api.generated_images import GeneratedImages
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLike,
    ModelLike,
    PathLike,
    Range,
    check_choice,
    describe_input,
    describe_model,
    load_model,
    read_image_for,
    read_images_for,
)
from isthmus.api.result import Result, keys, skipped_inputs, use
from isthmus.errors import Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.outputs import check_output
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.generation.directions import CodeDirection

DirectionKind = Literal["means", "discriminant"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Direction(Result):
    """A direction in the code. One step along it leads from the middle of one group to that of the other.

    `save` writes it as a safetensors file, which `transform` reads.

    Attributes:
        model: the model, as it was given.
        plus: the images that have the attribute.
        minus: the images that do not have it.
        images: how many of each, `[plus, minus]`.
        method: `means` or `discriminant`.
        auc: how well it separates the groups: 1 perfectly, 0.5 not at all.
        step: shaped like a code, `(C,)` or `(C, h, w)` float32.
    """

    schema: ClassVar[str] = "isthmus.direct/1"
    formats: ClassVar[tuple[str, ...]] = (".safetensors",)

    model: str
    plus: str
    minus: str
    images: tuple[int, int]
    method: DirectionKind
    auc: float
    _vector: CodeDirection = field(repr=False)

    @property
    def step(self) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = self._vector.step.numpy()
        return values

    def summary(self) -> str:
        plus, minus = (format_count(number, "image") for number in self.images)
        return f"direction from {minus} to {plus} (AUC {self.auc:.3f})"

    @classmethod
    def _check_place(cls, path: PathLike, *, force: bool) -> None:
        """The suffix does not matter."""
        check_output(path, force=force)

    def _write(self, path: PathLike, *, force: bool, scale: int | None = None) -> None:
        if Path(path).suffix.lower() == ".json":
            super()._write(path, force=force, scale=scale)
        else:
            self._vector.save(path, force=force)


@dataclass(frozen=True, kw_only=True, repr=False)
class TransformedImages(GeneratedImages):
    """One image, changed by several steps along a direction.

    Attributes:
        source: the image, as it was given.
        along: the direction's file, where it came from one.
        by: the steps, one for each result.
    """

    schema: ClassVar[str] = "isthmus.transform/1"
    document: ClassVar = keys("model", image="source") | keys("along by")
    formats: ClassVar[tuple[str, ...]] = (".png", ".gif", ".webp", ".npz", ".json")
    animated: ClassVar[bool] = True

    source: str
    along: str
    by: tuple[float, ...]

    @property
    def columns(self) -> int:
        return self.count


@use
def find_direction(
    model: ModelLike,
    plus: DataLike | None = None,
    minus: DataLike | None = None,
    *,
    data: DataLike | None = None,
    label: str | None = None,
    from_label: str | None = None,
    method: DirectionKind = "means",
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> Direction:
    """Learn a direction in the code of a model from two groups of images, for `transform`.

    One step along it leads from the middle of one group to the middle of the other. AUC shows how well it
    separates the groups: 1 perfectly, 0.5 not at all.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        plus: images that have the attribute.
        minus: images that do not have it.
        data: labelled images, instead of two groups.
        label: with `data`, the class to go towards.
        from_label: with `data`, the class to start from; by default all others.
        method: `means`, from mean to mean (Larsen et al. 2016, section 4.3); or `discriminant`, Fisher's,
            which leaves other variation alone; one step of both is as long as the means are apart.
        limit: at most this many images of each group, evenly spaced; with `data` of all its images.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: neither two groups nor labelled images and a class, or an unknown class.
        DataError: unreadable images, or groups that do not differ.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.find_direction(model, images[:16], images[16:]).step.shape
        (8,)
    """
    check_choice("method", method, get_args(DirectionKind))
    network = load_model(model)
    from isthmus.generation.directions import drop_class, select_class
    from isthmus.generation.directions import find_direction as find

    if plus is not None and minus is not None and data is label is from_label is None:
        high = read_images_for(network, plus, limit=limit, range=range)
        low = read_images_for(network, minus, limit=limit, range=range)
        names = (high.source, low.source)
    elif data is None or label is None or plus is not None or minus is not None:
        raise UsageError(
            "give either two groups of images, or labelled images and a class",
            id="direction.groups",
            hint=Hint.call("find_direction", "MODEL", plus="DATA", minus="DATA"),
        )
    else:
        images = read_images_for(network, data, limit=limit, range=range)
        high = select_class(images, label)
        low = drop_class(images, label) if from_label is None else select_class(images, from_label)
        names = (f"{images.source}: {label}", f"{images.source}: {from_label or 'all others'}")
    with start_task(progress, "encoding", 1) as task:
        direction = find(network, high, low, discriminant=method == "discriminant")
        task.update(1)
    direction.facts.update(plus=names[0], minus=names[1])
    return Direction(
        model=describe_model(model, network),
        plus=names[0],
        minus=names[1],
        images=(len(high), len(low)),
        method=method,
        auc=direction.facts["auc"],
        skipped=skipped_inputs(high.skipped, low.skipped),
        _vector=direction,
    )


@use
def transform(
    model: ModelLike,
    image: ImageLike,
    along: Direction | PathLike,
    by: Sequence[float] = (1.0,),
    *,
    keep_detail: bool = True,
    range: Range | None = None,
    show: Bands | None = None,
) -> TransformedImages:
    """Change an image along a direction in the code of a model.

    One step goes as far as from the middle of one group to the middle of the other.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        image: the image to change.
        along: the direction: what `find_direction` gave, or its file.
        by: numbers of steps; negative ones lead the other way, and each gives one image.
        keep_detail: add what the code does not hold (the image minus its reconstruction) to every result, so
            that 0 steps give the image itself.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: steps that are not finite numbers.
        ModelFileError: a file that is not a direction.
        DataError: an unreadable image, or another model's direction.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> way = isthmus.find_direction(model, images[:16], images[16:])
        >>> isthmus.transform(model, images[0], way, [-1, 0, 1]).pixels.shape
        (3, 16, 16, 1)
    """
    network = load_model(model)
    from isthmus.generation.directions import load_direction, shift_image

    pixels_of_image = read_image_for(network, image, range=range)
    note_bands(show, network.channels)
    vector = along._vector if isinstance(along, Direction) else load_direction(along)
    return TransformedImages(
        model=describe_model(model, network),
        pixels=shift_image(network, pixels_of_image, vector, by, keep_detail=keep_detail),
        source=describe_input(image),
        along=describe_input(along),
        by=tuple(map(float, by)),
    )
