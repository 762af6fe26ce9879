"""Files of a codec that comes with the package open by themselves, whatever the default is now."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import pretrained
from isthmus.codec.models import codec_for
from isthmus.codec.ready import Codec
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder

from .conftest import MODEL


def test_every_shipped_codec_is_known_by_its_fingerprint() -> None:
    codecs = [name for name in pretrained.names() if pretrained.card(name)["recipe"] == "codec"]
    assert pretrained.codecs() == {codec_for(name).fingerprint.hex(): name for name in codecs}


def test_a_file_chooses_its_shipped_codec_whatever_model_is_given(
    photo: Pixels, model: Autoencoder, tmp_path: Path
) -> None:
    piece = photo[:32, :48]
    expected = isthmus.decompress(isthmus.compress(piece))
    isthmus.compress_files([_save(piece, tmp_path / "shipped.png")], out=tmp_path / "files")
    isthmus.compress_files([_save(piece, tmp_path / "own.png")], out=tmp_path / "files", model=MODEL)
    assert np.array_equal(isthmus.decompress(tmp_path / "files" / "shipped.isth", model=model), expected)
    opened = isthmus.decompress_files(tmp_path / "files", out=tmp_path / "again", model=MODEL)
    assert len(opened.files) == 2 and opened.complete
    assert [file.model for file in opened.files] == [os.fspath(MODEL), "photo-codec"]  # own and shipped
    assert opened.model is None
    shipped = tmp_path / "files" / "shipped.isth"
    assert isthmus.decompress_files(shipped, out=tmp_path / "a.png", model=MODEL).model == "photo-codec"
    own = tmp_path / "files" / "own.isth"
    assert isthmus.decompress_files(own, out=tmp_path / "b.png", model=MODEL).model == os.fspath(MODEL)
    verified = isthmus.verify_files(tmp_path / "files", model=MODEL)
    assert len(verified.files) == len(verified.skipped) == 1


def test_a_codec_that_is_no_longer_the_default_opens_its_files(
    photo: Pixels, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = photo[:32, :48]
    data = isthmus.compress(piece, model=codec.model)
    monkeypatch.setattr(pretrained, "codecs", lambda: {codec.fingerprint.hex(): os.fspath(MODEL)})
    expected = isthmus.decompress(data, model=codec.model)
    assert np.array_equal(isthmus.decompress(data), expected)
    assert np.array_equal(isthmus.decompress(data, model="photo-codec"), expected)


def _save(pixels: Pixels, path: Path) -> Path:
    from PIL import Image

    Image.fromarray(pixels).save(path)
    return path
