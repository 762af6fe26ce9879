"""Pairs of images and what they should become, for a training and for what uses its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    PathLike,
    Range,
    check_count,
    check_is_data,
    load_model,
    open_model_and_data,
)
from isthmus.errors import Hint, UsageError
from isthmus.images.reading_notes import report_reading

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder


def read_pairs(
    data: DataLike, target: DataLike, *, cache: PathLike | None = None, range: Range | None = None
) -> ImageSet:
    """Inputs and their targets as one set, for a training.

    Args:
        data, target: two sets of images of the same names and sizes.
        cache: keep decoded pixels in a file in this folder.
        range: the sample values of black and white in both.

    Raises:
        UsageError: one of them is a model file.
        DataError: unreadable, no names in both, or a pair of different sizes.
    """
    from isthmus.images.pairs import pair_sets
    from isthmus.images.reading import read

    check_is_data(data)
    check_is_data(target)
    return pair_sets(read(data, cache=cache, range=range), read(target, cache=cache, range=range))


def open_model_and_pairs(
    model: ModelLike,
    data: DataLike,
    target: DataLike | None,
    *,
    limit: int | None = None,
    range: Range | None = None,
) -> tuple[Autoencoder, ImageSet]:
    """As `open_model_and_data`; with a model that learned from pairs, pairs with the channels of this model.

    Raises:
        UsageError: also a target for another model, or none for one of pairs.
        DataError: also no names in both sets, or a pair of different sizes.
    """
    from isthmus.images.pairs import pair_sets
    from isthmus.images.subsets import sample_evenly
    from isthmus.model.inference import read_for

    network = load_model(model)
    paired = network.recipe.corruption.is_paired
    if target is None and not paired:
        return open_model_and_data(model, data, limit=limit, range=range)
    if target is None:
        raise UsageError(
            "this model was trained on pairs: each image needs a target to compare its output with",
            id="pairs.no-target",
            hint=Hint.add(target="DIR"),
        )
    if not paired:
        raise UsageError(
            "this model was not trained on pairs: its outputs are compared with its inputs",
            id="pairs.target-without-pairs",
            hint="leave out target",
        )
    check_is_data(data)
    check_is_data(target)
    check_count("limit", limit)
    pairs = pair_sets(
        read_for(network, data, range=range), read_for(network, target, range=range, targets=True)
    )
    report_reading(pairs)
    return network, sample_evenly(pairs, limit)


def check_no_pairs(model: Autoencoder, use: str) -> None:
    """Raises:
    UsageError: the model was trained on pairs, and this use compares images with their reconstructions.
    """
    if model.recipe.corruption.is_paired:
        raise UsageError(
            "{use} needs a model that reproduces its input, and this one was trained on pairs",
            id="pairs.use",
            use=use,
        )
