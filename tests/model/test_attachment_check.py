"""Attachments that do not fit, or hold what is not finite, are refused in one line, whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import isthmus
from isthmus.errors import ModelFileError
from isthmus.features.anomalies import fit_detector, read_detector, store_detector
from isthmus.features.readout import fit_extractor, read_extractor
from isthmus.generation.codes import encode_images
from isthmus.generation.mixture import fit_mixture
from isthmus.generation.prior_store import attach_prior, read_prior
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.file import read_file, save, write_file

from .cases import model_of, pictures, small

Load = Callable[[Autoencoder], object]
LOADS: dict[str, Load] = {"prior/mixture": read_prior, "readout": read_extractor, "anomalies": read_detector}
FACTS: list[Any] = [None, "x", -1, float("inf"), float("nan"), 10**30, [], {}, [1] * 1000, 10**399]


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    made = model_of(small("dense"), (12, 12), 3)
    images = isthmus.read(pictures(40, (12, 12), 3))
    attach_prior(made, fit_mixture(encode_images(made, images), components=2))
    readout = fit_extractor(made, images)
    store_detector(made, fit_detector(made, readout, images, "density", false_alarms=0.01), readout)
    return made


def changed_tensors(tensor: Tensor) -> Iterator[Tensor]:
    yield torch.zeros(tuple(side + 1 for side in tensor.shape) or (3,), dtype=tensor.dtype)
    yield torch.zeros(0, dtype=tensor.dtype)
    if tensor.is_floating_point():
        yield tensor.to(torch.int64)
        for value in (float("nan"), float("inf"), 1e30):
            damaged = tensor.clone()
            damaged.view(-1)[0] = value
            yield damaged


@pytest.mark.parametrize("name", list(LOADS))
def test_whatever_is_wrong_is_one_line(model: Autoencoder, name: str) -> None:
    attachment = model.attachments[name]
    try:
        assert LOADS[name](model) is not None
        for key, tensor in attachment.tensors.items():
            without = {other: value for other, value in attachment.tensors.items() if other != key}
            damaged = list(changed_tensors(tensor))
            if key == "calibration":
                del damaged[0]  # as many scores as there were images: any number
            for tensors in (
                without,
                *({**attachment.tensors, key: damaged_tensor} for damaged_tensor in damaged),
            ):
                model.attachments[name] = Attachment(attachment.facts, tensors)
                with pytest.raises(ModelFileError) as error:
                    LOADS[name](model)
                assert "\n" not in error.value.message
        for key in attachment.facts:
            for value in FACTS:
                model.attachments[name] = Attachment({**attachment.facts, key: value}, attachment.tensors)
                try:  # a fact that is only shown may hold anything
                    LOADS[name](model)
                except ModelFileError as failure:
                    assert "\n" not in failure.message
    finally:
        model.attachments[name] = attachment


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_at_load(
    model: Autoencoder, tmp_path: Path, value: float
) -> None:
    path = tmp_path / "model.safetensors"
    save(model, path)
    tensors, metadata = read_file(path)
    name = next(key for key in tensors if key.startswith("encoder"))
    tensors[name].view(-1)[-1] = value
    write_file(path, tensors, metadata, force=True)
    with pytest.raises(ModelFileError, match="weights are not finite"):
        isthmus.load(path)
