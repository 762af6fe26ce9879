"""Compressed files of version 0.1: equal symbols, pixels within one level, and the codec's fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

from . import adapter
from .checks import FILES, check_pixels, read_arrays, run

COMPRESSED = sorted((FILES / "compressed").glob("*.isth"))
KINDS = {"colour", "gray", "gray-alpha", "alpha", "one-pixel", "one-row", "effort", "rate", "tagged", "tiles"}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return read_arrays(FILES / "compressed.npz")


@pytest.fixture(scope="module")
def codecs(unpacked: Path) -> Iterator[dict[str, isthmus.Autoencoder | None]]:
    yield {"own": isthmus.load(unpacked / "models" / "codec-tables.safetensors"), "shipped": None}


def test_there_is_a_file_of_every_kind() -> None:
    kinds = {path.stem.partition("-")[2] for path in COMPRESSED}
    assert kinds == KINDS


@pytest.mark.parametrize("path", COMPRESSED, ids=lambda path: path.stem)
def test_symbols_are_equal_and_pixels_within_one_level(
    path: Path, expected: dict[str, np.ndarray], codecs: dict[str, isthmus.Autoencoder | None]
) -> None:
    model = codecs[path.stem.partition("-")[0]]
    symbols = adapter.symbols_of(path, model)
    assert len(symbols) == sum(key.startswith(f"{path.stem}/symbols/") for key in expected)
    for number, symbols_of_tile in enumerate(symbols):
        assert np.array_equal(symbols_of_tile, expected[f"{path.stem}/symbols/{number}"])
    pixels = isthmus.decompress(path, model=model)
    target = expected[f"{path.stem}/picture"]
    check_pixels(pixels, target)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        assert np.array_equal(pixels[..., -1], target[..., -1])


def test_one_file_is_of_several_tiles() -> None:
    document = run("info", str(FILES / "compressed" / "own-tiles.isth"))
    assert document["tiles"] > 1
    assert {"icc", "exif", "preview"} <= set(
        run("info", str(FILES / "compressed" / "own-tagged.isth"))["parts"]
    )


@pytest.mark.parametrize("name", ["own", "shipped"])
def test_the_fingerprint_of_a_codec_is_the_same(
    name: str, facts: dict[str, Any], codecs: dict[str, isthmus.Autoencoder | None]
) -> None:
    data = isthmus.compress(np.zeros((4, 4), np.uint8), model=codecs[name])
    assert data[20:28].hex() == facts["codecs"][name]  # docs/reference/format.md: the model
