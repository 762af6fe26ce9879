"""Files that every version must decode, and a second decoder, written from the specification, that agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.codec import container
from isthmus.codec.decoding import decode_tile_symbols
from isthmus.codec.grid import Grid
from isthmus.codec.ready import Codec

from .conftest import GOLDEN
from .reference import decode_tile

FILES = sorted(GOLDEN.glob("*.isth"))
NAMES = [path.stem for path in FILES]


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "expected.npz", allow_pickle=False) as result:
        return dict(result)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_symbols_of_every_tile_are_the_same(
    path: Path, codec: Codec, expected: dict[str, np.ndarray]
) -> None:
    contents = container.read_container(path.read_bytes())
    grid = Grid.of(contents.header, codec.stride)
    for number, symbols in enumerate(decode_tile_symbols(contents, codec, grid, range(grid.count))):
        assert isinstance(symbols, np.ndarray)
        assert np.array_equal(symbols, expected[f"{path.stem}/symbols/{number}"])


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_picture_is_the_same_within_one_level(
    path: Path, codec: Codec, expected: dict[str, np.ndarray]
) -> None:
    array = isthmus.decompress(path, model=codec.model)
    target = expected[f"{path.stem}/picture"]
    assert array.shape == target.shape
    assert np.abs(array.astype(int) - target).max() <= 1
    if array.ndim == 3 and array.shape[2] in (2, 4):
        assert np.array_equal(array[..., -1], target[..., -1])


@pytest.mark.parametrize("name", ["gray", "one-pixel", "one-row", "tagged"])
def test_a_decoder_written_from_the_specification_finds_the_same(
    name: str, codec: Codec, expected: dict[str, np.ndarray]
) -> None:
    contents = container.read_container((GOLDEN / f"{name}.isth").read_bytes())
    grid = Grid.of(contents.header, codec.stride)
    payload = bytes(contents.chunks[container.TILE, 0])
    band = codec.tables.bands[payload[0]]
    assert decode_tile(payload, grid.tile(0).size, band) == expected[f"{name}/symbols/0"].tolist()


def test_what_travels_with_the_picture_is_read(codec: Codec) -> None:
    contents = container.read_container((GOLDEN / "tagged.isth").read_bytes())
    assert bytes(contents.chunks[container.ICC, 0]) == b"a profile, as far as this format cares"
    assert b"a cat" in bytes(contents.chunks[container.EXIF, 0])
    small = isthmus.read_preview(GOLDEN / "tagged.isth")
    assert small is not None
    full_picture = isthmus.decompress(GOLDEN / "tagged.isth", model=codec.model)
    assert small.shape == full_picture.shape
    assert np.abs(small.astype(int) - full_picture).mean() < 40
