"""Readouts: features of any layer, fitted without labels, kept in the model file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import ModelFileError, UsageError
from isthmus.features import readout as readouts
from isthmus.features.layers import layer_names
from isthmus.features.readout import FeatureExtractor, FeatureSpec
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder


def test_full_features_are_standardised_and_compact_ones_have_length_one(
    model: Autoencoder, readout: FeatureExtractor, train: ImageSet
) -> None:
    full = readouts.extract_features(model, train, readout)
    assert full.shape == (400, 2 * 32 * 9)
    np.testing.assert_allclose(full.mean(0), 0, atol=1e-3)
    assert np.median(full.std(0)) == pytest.approx(1, abs=0.01)
    compact = readouts.extract_features(model, train, readout, compact=True)
    assert compact.shape == (400, 256)
    np.testing.assert_allclose(np.linalg.norm(compact, axis=1), 1, rtol=1e-5)


def test_an_image_has_the_same_features_alone_and_among_others(
    model: Autoencoder, readout: FeatureExtractor, test: ImageSet
) -> None:
    together = readouts.extract_features(model, test, readout)
    alone = readouts.extract_features(model, test.subset([7]), readout)
    np.testing.assert_allclose(alone[0], together[7], atol=1e-3)


def test_a_readout_survives_the_file_and_leaves_codes_alone(
    model: Autoencoder, readout: FeatureExtractor, test: ImageSet, tmp_path: Path
) -> None:
    before = model.encode(test.pixels)
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    stored = readouts.read_extractor(again)
    assert stored is not None and stored.reading == readout.reading
    first = readouts.extract_features(model, test, readout, compact=True)
    np.testing.assert_array_equal(readouts.extract_features(again, test, stored, compact=True), first)
    del again.attachments[readouts.NAME]
    np.testing.assert_array_equal(again.encode(test.pixels).values, before.values)


def test_a_damaged_readout_is_named(model: Autoencoder, tmp_path: Path) -> None:
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    again.attachments[readouts.NAME].tensors["basis"] = torch.zeros(3, 5)
    with pytest.raises(ModelFileError, match="feature extractor is damaged"):
        readouts.read_extractor(again)
    again.attachments[readouts.NAME].facts.pop("layer")
    with pytest.raises(ModelFileError, match="feature extractor is damaged"):
        readouts.read_extractor(again)


def test_every_layer_of_any_model_can_be_read(
    plain: Autoencoder, model: Autoencoder, train: ImageSet
) -> None:
    assert {"code", "filters"} == set(layer_names(model))
    names = layer_names(plain)
    assert names[0] == "code" and "stages.0" in names
    some = train.subset(np.arange(20))
    for name in names:
        for pool in ((), (1, 2)):
            result = readouts.fit_extractor(plain, some, FeatureSpec(layer=name, size=(16, 16), pool=pool))
            assert np.isfinite(readouts.extract_features(plain, some, result)).all()


@pytest.mark.parametrize("recipe", ["attention", "recurrent", "dense"])
def test_other_backbones_have_layers_too(recipe: str, train: ImageSet) -> None:
    few = train.subset(np.arange(16))
    small = {"attention": ["backbone.width=16", "backbone.depth=1"]}.get(recipe, ["backbone.width=8"])
    network = isthmus.train(few, recipe=recipe, code="4", settings=small, steps=2, precision="float32")
    for name in layer_names(network):
        result = readouts.fit_extractor(network, few, FeatureSpec(layer=name, size=(16, 16)))
        assert len(readouts.extract_features(network, few, result)) == 16


def test_an_unknown_layer_is_named_with_the_nearest(plain: Autoencoder, train: ImageSet) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'stages\.0'"):
        readouts.fit_extractor(plain, train, FeatureSpec(layer="stage.0"))


def test_images_of_any_size_are_read_at_the_readouts_own(
    model: Autoencoder, readout: FeatureExtractor, test: ImageSet
) -> None:
    larger = dataclasses.replace(test, pixels=test.pixels.repeat(2, axis=1).repeat(2, axis=2))  # type: ignore[union-attr]
    first, second = (readouts.extract_features(model, item, readout, compact=True) for item in (test, larger))
    assert np.median((first * second).sum(1)) > 0.8
