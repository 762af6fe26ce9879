"""Tiles: no seams, regions, and what a lost tile costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import isthmus
from isthmus.codec import container, transform
from isthmus.codec.container import CompressedFileError
from isthmus.codec.decoding import decode_picture, decode_tile_symbols
from isthmus.codec.encoding import analyse_picture, encode_picture_at
from isthmus.codec.grid import Grid, Rectangle
from isthmus.codec.picture import read_picture
from isthmus.codec.ready import Codec
from isthmus.errors import UsageError

Pixels = npt.NDArray[np.uint8]
TILE = 32


@pytest.fixture(scope="module")
def tiled(codec: Codec, photo: Pixels) -> bytes:
    return encode_picture_at(
        read_picture(np.dstack([photo[:140, :170], photo[:140, :170, 1]])), codec, 7000, tile=TILE
    ).data


@pytest.fixture(scope="module")
def whole(codec: Codec, tiled: bytes) -> Pixels:
    return isthmus.decompress(tiled, model=codec.model)


def symbols(data: bytes, codec: Codec) -> npt.NDArray[np.int32]:
    contents = container.read_container(data)
    grid = Grid.of(contents.header, codec.stride)
    plane = np.zeros((codec.tables.channels, *grid.all.size), np.int32)
    for number, tile in enumerate(decode_tile_symbols(contents, codec, grid, range(grid.count))):
        assert isinstance(tile, np.ndarray)
        plane[:, *grid.tile(number).slices] = tile
    return plane


def test_tiles_have_the_latents_of_one_pass(codec: Codec, photo: Pixels, tiled: bytes) -> None:
    picture = read_picture(photo[:140, :170])
    ((_, at_once),) = analyse_picture(picture, codec)
    grid = Grid(picture.size, codec.stride, TILE // codec.stride)
    for number, latents in analyse_picture(picture, codec, tile=TILE):
        expected = at_once[:, *grid.tile(number).slices].numpy()
        assert latents.numpy() == pytest.approx(expected, abs=1e-4)
    # Contexts end at a tile's border, and which symbols are worth their bits depends on them.
    one_tile = symbols(encode_picture_at(picture, codec, 7000).data, codec)
    different = symbols(tiled, codec) != one_tile
    assert different.mean() < 0.03 and np.abs(symbols(tiled, codec) - one_tile).max() <= 1


def test_tiles_have_the_pixels_of_one_pass(codec: Codec, tiled: bytes, whole: Pixels) -> None:
    at_once = transform.synthesise(codec.model, symbols(tiled, codec), 70.0, (140, 170))
    assert np.abs(whole[:, :, :3].astype(int) - at_once).max() <= 1


def test_errors_at_the_seams_are_those_of_the_interior(photo: Pixels, whole: Pixels) -> None:
    error = (whole[:128, :160, :3].astype(float) - photo[:128, :160]) ** 2
    near = (np.arange(160) + 1) % TILE < 2
    interior = (np.arange(160) + 1 + TILE // 2) % TILE < 2
    assert error[:, near].mean() == pytest.approx(error[:, interior].mean(), rel=0.15)


@pytest.mark.parametrize("region", [(0, 0, 140, 170), (37, 50, 1, 1), (64, 96, 76, 74), (30, 31, 5, 70)])
def test_a_region_is_that_part_of_the_picture(
    codec: Codec, tiled: bytes, whole: Pixels, region: tuple[int, int, int, int]
) -> None:
    top, left, height, width = region
    part = isthmus.decompress(tiled, model=codec.model, region=region)
    expected = whole[top : top + height, left : left + width]
    assert part.shape == expected.shape
    assert np.abs(part.astype(int) - expected).max() <= 1
    assert np.array_equal(part[..., 3], expected[..., 3])


def test_a_region_decodes_only_the_tiles_it_needs(codec: Codec, tiled: bytes) -> None:
    contents = container.read_container(tiled)
    asked = []

    class Watched(dict):  # type: ignore[type-arg]
        def get(self, key: container.Key, default: object = None) -> object:
            asked.append(key)
            return super().get(key, default)

    watched = container.Container(contents.header, Watched(contents.chunks))
    decode_picture(watched, codec, region=Rectangle(0, 0, 8, 8))
    tiles = {number for tag, number in asked if tag == container.TILE}
    assert 0 in tiles
    assert len(tiles) <= 9 < contents.header.tiles


@pytest.mark.parametrize("region", [(0, 0, 141, 10), (-1, 0, 5, 5), (10, 10, 0, 5), (500, 0, 1, 1)])
def test_a_region_outside_is_refused(codec: Codec, tiled: bytes, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="not within"):
        isthmus.decompress(tiled, model=codec.model, region=region)


@pytest.mark.parametrize("lost", [0, 14, 29])
def test_a_lost_tile_costs_itself_and_is_named(codec: Codec, tiled: bytes, whole: Pixels, lost: int) -> None:
    contents = container.read_container(tiled)
    at = tiled.index(bytes(contents.chunks[container.TILE, lost]))
    data = bytearray(tiled)
    data[at + 4] ^= 1
    result = decode_picture(container.read_container(bytes(data), keep_going=True), codec, keep_going=True)
    assert [str(damage) for damage in result.damage] == [f"tile {lost} is damaged or missing"]
    grid = Grid.of(contents.header, codec.stride)
    margin = transform.margins(codec.model)[1]
    touched = np.zeros((140, 170), bool)
    touched[grid.to_pixels(grid.tile(lost).wider(margin).meet(grid.all)).slices] = True
    array = result.picture.array()
    assert np.array_equal(array[~touched], whole[~touched])
    assert np.array_equal(array[..., 3], whole[..., 3])
    # Painted from its surroundings, not black.
    there = grid.to_pixels(grid.tile(lost)).slices
    assert np.abs(array[there][..., :3].mean() - whole[there][..., :3].mean()) < 60


def test_lost_transparency_is_opaque(codec: Codec, tiled: bytes, whole: Pixels) -> None:
    contents = container.read_container(tiled)
    at = tiled.index(bytes(contents.chunks[container.ALPHA, 3]))
    data = bytearray(tiled)
    data[at + 4] ^= 1
    result = decode_picture(container.read_container(bytes(data), keep_going=True), codec, keep_going=True)
    assert [str(damage) for damage in result.damage] == ["alpha tile 3 is damaged or missing"]
    assert np.array_equal(result.picture.pixels, whole[..., :3])
    assert result.picture.alpha is not None
    assert (result.picture.alpha[:32, 96:128] == 255).all()


def test_a_file_with_every_tile_lost_is_refused_at_once(codec: Codec, tiled: bytes) -> None:
    with pytest.raises(CompressedFileError, match=r"none of its .* tiles can be read"):
        decode_picture(container.read_container(tiled[:32], keep_going=True), codec, keep_going=True)
    promise = container.ContainerHeader(
        size=(20_000, 20_000), channels=3, quality=5000, tile=512, model=codec.fingerprint
    )
    with pytest.raises(CompressedFileError, match=r"none of its .* tiles can be read"):
        decode_picture(
            container.read_container(container.pack_header(promise), keep_going=True), codec, keep_going=True
        )
