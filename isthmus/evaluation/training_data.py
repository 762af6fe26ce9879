"""The images a model was trained on, found again: given by the user, or where its file says they were."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from isthmus.errors import IsthmusError
from isthmus.images.named import is_name, where
from isthmus.images.npz_keys import split_part, split_shape
from isthmus.images.reading import read
from isthmus.images.shards import list_inventory
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.model.attachment_check import DAMAGE, whole_number
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import read_for as read_for
from isthmus.training.config import TrainConfig
from isthmus.training.data import TrainingData, read_training_data

_NOT_FOUND = Message("the training images were not found", id="reference.training-images-not-found")


def find_training_images(model: Autoencoder, train: Any = None) -> tuple[ImageSet | None, str | None]:
    """`(images, note)`: the training part, or None and why.

    With `train` given these are its images. Otherwise the recorded source is read and split as the training
    did, and only taken when its fingerprint is the recorded one. Named sets that are not on this machine are
    not downloaded.

    Raises:
        DataError: `train` is given and cannot be read.
    """
    if train is not None:
        return read_for(model, train), None
    if model.recipe.corruption.is_paired:
        return None, "the model was trained on pairs, and these are not looked for"
    recorded = model.summary.get("data") or {}
    source, fingerprint = recorded.get("source"), recorded.get("fingerprint")
    if not isinstance(source, str) or not fingerprint or source.startswith(("//", "\\\\")):
        return None, _NOT_FOUND  # a model from someone else must not make this machine call another one
    file, _ = split_part(split_shape(source)[0])  # of flat.npy:28x28 and mnist.npz:test
    if not os.path.exists(file) and not (is_name(source) and where(source) is not None):  # noqa: PTH110
        return None, _NOT_FOUND
    try:
        part = (
            _read_training_part(model, source, fingerprint) if _matches_inventory(recorded, source) else None
        )
    except (IsthmusError, OSError, *DAMAGE):
        part = None
    if part is None:
        return None, Message(
            "{source} is no longer what this model was trained on",
            id="reference.training-images-changed",
            source=source,
        )
    return part, None


def find_training_split(model: Autoencoder, data: Any = None) -> TrainingData | None:
    """The images that the network was trained on, and those held out; None where this is not known.

    Args:
        data: images that may be those; by default the recorded source, where it is found unchanged.
    """
    if model.recipe.corruption.is_paired:
        return None
    recorded = model.summary.get("data") or {}
    fingerprint = recorded.get("fingerprint")
    if not fingerprint:
        return None
    try:
        if data is None:
            images, _ = find_training_images(model)
            data = None if images is None else recorded["source"]
        return None if data is None else _split_as_trained(model, data, fingerprint)
    except (IsthmusError, OSError, *DAMAGE):
        return None


def _matches_inventory(recorded: dict[str, Any], source: str) -> bool:
    """Whether a listing of the source agrees with what the model recorded; nothing is decoded for it.

    Models of version 0.1 recorded no names, only how many images they were trained on: unread files and those
    that a list of names left out may come on top.
    """
    inventory = recorded.get("inventory")
    if isinstance(inventory, dict):
        count = whole_number(inventory, "count", 1, 10**9)
        listing = list_inventory(source, most=count)
        return listing is None or listing.to_dict() == {"count": count, "names": inventory.get("names")}
    images = whole_number(recorded, "images", 1, 10**9)
    held_out = recorded.get("held_out") or 0
    least = images + (held_out if isinstance(held_out, int) else 0)
    listing = list_inventory(source, most=2 * least + 100)
    return listing is None or listing.count >= images


def _read_training_part(model: Autoencoder, source: str, fingerprint: str) -> ImageSet | None:
    parts = _split_as_trained(model, source, fingerprint)
    return None if parts is None else parts.train


def _split_as_trained(model: Autoencoder, source: Any, fingerprint: str) -> TrainingData | None:
    recorded: dict[str, Any] = model.summary.get("options") or {}
    config = TrainConfig.from_dict(recorded)
    images = read(source, size=config.size, range=config.range)
    # With separate validation images nothing was held out, and the summary does not record which case it was.
    for share in (config.validation, 0.0):
        split_config = replace(config, validation=share, range=None, groups=config.groups if share else None)
        parts, _ = read_training_data(images, None, model.recipe, split_config)
        if parts.train.fingerprint() == fingerprint:
            return parts
    return None
