"""Fitting tables: the same each time, checked when read, and better than what they start from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

import isthmus
from isthmus.api.training import finish_model
from isthmus.codec import transform
from isthmus.codec.contexts import init_contexts
from isthmus.codec.fit import fit_band, fit_tables
from isthmus.codec.symbols import encode_symbols
from isthmus.errors import DataError
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import recipe

from .conftest import MODEL

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def fresh() -> Autoencoder:
    result = isthmus.load(MODEL)
    del result.attachments["codec"]
    return result


def test_a_model_can_compress_once_tables_are_fitted(fresh: Autoencoder, photo: Pixels) -> None:
    heard = []
    fit_tables(
        fresh, [photo], qualities=(50,), steps=2, listener=lambda done, bands: heard.append((done, bands))
    )
    assert heard == [(0, 1), (1, 1)]
    data = isthmus.compress(photo, quality=50, model=fresh)
    assert isthmus.decompress(data, model=fresh).shape == photo.shape


def test_tables_survive_the_model_file(fresh: Autoencoder, photo: Pixels, tmp_path: object) -> None:
    fit_tables(fresh, [photo[:64, :64]], qualities=(20, 80), steps=2)
    data = isthmus.compress(photo[:50, :50], quality=80, model=fresh)
    fresh.save(f"{tmp_path}/m.safetensors")
    again = isthmus.load(f"{tmp_path}/m.safetensors")
    assert isthmus.compress(photo[:50, :50], quality=80, model=again) == data


def test_the_same_pictures_give_the_same_tables(fresh: Autoencoder, photo: Pixels) -> None:
    def fitted() -> dict[str, torch.Tensor]:
        fit_tables(fresh, [photo[:128, :128], photo[:80, 200:]], qualities=(50,), steps=2)
        return fresh.attachments["codec"].tensors

    first, second = fitted(), fitted()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fitting_saves_bytes(fresh: Autoencoder, photo: Pixels) -> None:
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    tiles = [transform.analyse(fresh, image[..., left : left + 200], 60.0) for left in (0, 200)]
    before = fit_band(tiles, init_contexts(fresh, 60.0), steps=0)
    after = fit_band(tiles, init_contexts(fresh, 60.0), steps=60)
    assert sum(len(encode_symbols(t, after)) for t in tiles) < sum(
        len(encode_symbols(t, before)) for t in tiles
    )


def test_gray_pictures_fit_a_model_of_colour_but_not_the_reverse(fresh: Autoencoder, photo: Pixels) -> None:
    fit_tables(fresh, [photo[:64, :64, 0]], qualities=(50,), steps=2)
    assert isthmus.compress(photo[:64, :64, 0], model=fresh)
    small = recipe("codec").with_settings(
        ["code=4@8", "backbone.width=4", "backbone.start=random", "backbone.refines=false"]
    )
    with pytest.raises(DataError, match="gray"):
        fit_tables(build(small, channels=1, size=(32, 32)), [photo])


def test_no_pictures_fit_nothing(fresh: Autoencoder) -> None:
    with pytest.raises(DataError, match="no images"):
        fit_tables(fresh, [])


def test_training_ends_with_tables_for_a_codec_only(fresh: Autoencoder, photo: Pixels) -> None:
    images = isthmus.read(np.stack([photo[:48, :48], photo[-48:, -48:]]).astype(np.float32) / 255)
    finish_model(fresh, images)
    assert isthmus.compress(photo[:48, :48], model=fresh)
    plain = build(recipe("dense").with_settings(["code=3"]), channels=3, size=(48, 48))
    finish_model(plain, images)
    assert set(plain.attachments) == {"readout"}
