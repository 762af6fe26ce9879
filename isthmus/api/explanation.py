"""One image and its code, unit by unit: the pixels that each unit depends on, and what it decodes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLike,
    ModelLike,
    Range,
    check_count,
    describe_model,
    open_model_and_data,
)
from isthmus.api.reference import ReferenceKind, resolve_reference
from isthmus.api.result import PictureResult, keys, skipped_inputs, use
from isthmus.errors import DataError, Hint, UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, Task, start_task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from isthmus.features.unit_maps import Curves, FaithfulnessScore
    from isthmus.features.units import Units
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

    Floats = npt.NDArray[np.float32]

MAX_REFERENCE_IMAGES = 5000
SCORED_IMAGES = 16
DEFAULT_UNITS = 8
EXCITING_IMAGES = 9
MAX_DICTIONARY_UNITS = 256
_SHARE_UNITS, _SHARE_MAPS, _SHARE_SCORES = 0.2, 0.3, 0.9  # of the work, when each part is done


@dataclass(frozen=True)
class UnitFacts:
    """One unit of the code.

    Attributes:
        unit: its number.
        value: for this image.
        mean: over the reference images.
        deviation: over the reference images.
        active: share of the reference images' positions where it is not 0.
        exciting: names of the reference images with its largest values, largest first.
    """

    unit: int
    value: float
    mean: float
    deviation: float
    active: float
    exciting: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation(PictureResult):
    """The code of one image, explained.

    Attributes:
        model: the model, as it was given.
        image: name of the image.
        data: source of the reference images, which the units are compared with.
        reference: where these come from: `training` or `reference`.
        images: number of reference images.
        units: the units that were looked at, farthest from their mean first.
        faithfulness: for each kind of map, how far such maps can be trusted: `deletion` and `insertion` with
            `deletion_half_width` and `insertion_half_width` of their 95 % intervals.
        maps: kind -> `(U, H, W)` float32, where each unit looks.
        atlas: `(U, H, W, C)` float32 in [-1, 1], what changes in the picture when a unit is raised.
        traversals: `(U, 5, H, W, C)` float32, the image with one unit moved over its range.
    """

    schema: ClassVar[str] = "isthmus.explain/1"
    document: ClassVar = keys("model image data reference images units faithfulness")
    formats: ClassVar = (".html", ".json", ".npz", ".png")
    output_keys: ClassVar = {".html": "page", ".png": "picture"}

    model: str
    image: str
    data: str
    reference: ReferenceKind
    images: int
    units: tuple[UnitFacts, ...]
    faithfulness: Mapping[str, FaithfulnessScore]
    maps: Mapping[str, Floats] = field(repr=False)
    atlas: Floats = field(repr=False)
    traversals: Floats = field(repr=False)
    _pixels: Floats = field(repr=False)
    _reconstruction: Floats = field(repr=False)
    _exciting: tuple[tuple[Floats, ...], ...] = field(repr=False)
    _curves: Mapping[str, Curves] = field(repr=False)
    _dictionary: Floats | None = field(repr=False)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["unit", "here", "mean", "deviation"], [
            [unit.unit, unit.value, unit.mean, unit.deviation] for unit in self.units
        ]

    def summary(self) -> str:
        return "\n".join(
            f"{name} maps: deletion {score.deletion:+.3f}, insertion {score.insertion:+.3f} against random"
            for name, score in self.faithfulness.items()
        )

    def arrays(self) -> dict[str, Any]:
        """`units (U,)`, a map array for each kind `(U, H, W)`, `atlas` and `traversals`."""
        import numpy as np

        maps = {f"{name}_maps": values for name, values in self.maps.items()}
        units = np.array([unit.unit for unit in self.units])
        return {"units": units, **maps, "atlas": self.atlas, "traversals": self.traversals}

    def draw(self, scale: int | None = None) -> bytes:
        """The image, its reconstruction, and where each unit looks."""
        from isthmus.api.pages.explanation_page import draw_maps

        return draw_maps(self, scale)

    def page(self) -> str:
        """Maps, numbers, what units decode to, the images that excite them, and the test of the maps."""
        from isthmus.api.pages.explanation_page import explanation_page

        return explanation_page(self).html()


@rename_keywords(data="reference")
@use
def explain(
    model: ModelLike,
    image: ImageLike,
    *,
    reference: DataLike | None = None,
    units: int | Sequence[int] | None = None,
    limit: int = MAX_REFERENCE_IMAGES,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Explain the code that a model gives one image.

    Shows where the most informative units look (integrated gradients, and covering places), what they decode
    to (their part of the picture, and the image with one unit moved), which images excite them most, and
    whether the maps can be trusted: how much faster a unit changes when pixels are taken away in the map's
    order than in random orders.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        image: the image; of several the first.
        reference: images that units are compared with; by default the training images.
        units: how many units, by default at most 8, or the numbers of those that are looked at.
        limit: compare with at most this many reference images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of the random orders that maps are compared with.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model's code does not hold the whole image.
        UsageError: a number of units below 1, or more than the code has.
        DataError: no such image, a unit that the code has not, or no reference images.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.explain(model, images[:1], reference=images, units=2).maps["gradient"].shape
        (2, 16, 16)
    """
    from isthmus.images.subsets import sample_evenly
    from isthmus.model import capabilities

    if isinstance(units, int):
        check_count("units", units)
    check_count("limit", limit)
    network, queries = open_model_and_data(model, image, range=range)
    note_bands(show, queries.channels)
    capabilities.check_use(network.recipe, "decode")
    if len(queries) > 1:
        log_note(
            "{source} holds {count:,} images: the first, {name}, is explained",
            id="explain.first-image",
            source=queries.source,
            count=len(queries),
            name=queries.names[0],
        )
    training_images, kind = resolve_reference(
        network, reference, purpose="units are compared with these", range=range
    )
    reference_images = sample_evenly(training_images, limit)
    stop = Interruption()
    with start_task(progress, "explaining", 1.0) as task:
        explanation = explain_first(
            network,
            queries,
            reference_images,
            kind,
            model_name=describe_model(model, network),
            units=units,
            scored=sample_evenly(reference_images, SCORED_IMAGES),
            seed=seed,
            task=task,
            stop=stop,
            skipped=skipped_inputs(queries.skipped, training_images.skipped if reference is not None else ()),
        )
        with stop:
            task.update(1.0)
    return explanation


def explain_first(
    model: Autoencoder,
    queries: ImageSet,
    some: ImageSet,
    kind: ReferenceKind,
    *,
    model_name: str = "",
    units: int | Sequence[int] | None = None,
    scored: ImageSet | None = None,
    seed: int = 0,
    task: Task | None = None,
    stop: Interruption | None = None,
    skipped: tuple[Any, ...] = (),
) -> Explanation:
    """Explain the first of `queries`.

    Args:
        some: the reference images.
        scored: images that the maps are tested on; None leaves the test out.
        stop: catches Ctrl-C while the maps are tested, which is the long part.

    Raises:
        UsageError: more units than the code has.
        DataError: a unit that the code has not.
    """
    import torch

    from isthmus.features.unit_maps import MAP_KINDS, base_image, model_input, score_maps
    from isthmus.features.units import decode_units, observe_units, pool_units, traverse_units

    task = Task() if task is None else task
    usual = observe_units(model, some)
    task.update(_SHARE_UNITS)
    pixels = model_input(model, queries, 0)
    code = model.encode_batch(pixels[None]).detach()
    values = pool_units(code)[0]
    chosen = _choose_units(units, usual, values)
    base = base_image(usual, pixels)
    maps = {name: make(model, pixels, base, chosen) for name, make in MAP_KINDS.items()}
    task.update(_SHARE_MAPS)
    scores: dict[str, FaithfulnessScore] = {}
    curves: dict[str, Curves] = {}
    if scored is not None:
        tested = 0

        def report(done: int) -> None:
            nonlocal tested
            tested = done
            task.update(_SHARE_MAPS + (_SHARE_SCORES - _SHARE_MAPS) * done / len(scored))

        scores, curves = score_maps(model, scored, usual, len(chosen), seed=seed, report=report, stop=stop)
        if stop is not None:
            stop.check(1 + tested, 1 + len(scored), "image")  # the one that is explained, and those
    dictionary = None
    if model.recipe.bottleneck.is_sparse:
        often = torch.argsort(usual.active, descending=True, stable=True)
        alive = [int(unit) for unit in often[:MAX_DICTIONARY_UNITS] if usual.active[unit] > 0]
        dictionary = _as_images(decode_units(model, usual, alive)) if alive else None
    exciting = {unit: usual.top_images(unit, EXCITING_IMAGES) for unit in chosen}
    return Explanation(
        model=model_name,
        image=queries.names[0],
        data=some.source,
        reference=kind,
        images=len(some),
        units=tuple(
            UnitFacts(
                unit=unit,
                value=float(values[unit]),
                mean=float(usual.mean[unit]),
                deviation=float(usual.deviation[unit]),
                active=float(usual.active[unit]),
                exciting=tuple(some.names[row] for row in exciting[unit]),
            )
            for unit in chosen
        ),
        faithfulness=scores,
        maps={name: values.numpy() for name, values in maps.items()},
        atlas=_as_images(decode_units(model, usual, chosen)),
        traversals=_as_images(traverse_units(model, code[0], usual, chosen)),
        skipped=skipped,
        complete=stop is None or stop.complete,
        _pixels=_as_images(pixels),
        _reconstruction=_as_images(model.reconstruct_batch(pixels[None])[0]),
        _exciting=tuple(tuple(_as_images(_read(some, row)) for row in exciting[unit]) for unit in chosen),
        _curves=curves,
        _dictionary=dictionary,
    )


def _choose_units(units: int | Sequence[int] | None, usual: Units, values: Tensor) -> list[int]:
    if units is None:
        return usual.rank_informative(values, DEFAULT_UNITS)
    if isinstance(units, int):
        if units > len(values):
            raise UsageError(
                "units={units}: this code has {count} units",
                id="explain.too-many-units",
                hint=Hint.add(units=len(values)),
                units=units,
                count=len(values),
            )
        return usual.rank_informative(values, units)
    for unit in units:
        if not 0 <= unit < len(values):
            raise DataError(
                "this code has units 0 to {last}, not {unit}",
                id="explain.no-such-unit",
                last=len(values) - 1,
                unit=unit,
            )
    return list(units)


def _read(images: ImageSet, row: int) -> Tensor:
    from isthmus.images.array_format import to_batch

    return to_batch(images.image(int(row)), many=False)[0][0]


def _as_images(values: Tensor) -> Floats:
    """`(…, C, H, W)` as `(…, H, W, C)` float32."""
    moved: Floats = values.detach().movedim(-3, -1).contiguous().numpy()
    return moved
