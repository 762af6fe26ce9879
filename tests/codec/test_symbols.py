"""Symbols and bytes: any symbols come back, and the coder uses exactly the weights it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.codec import transform
from isthmus.codec.coder import Reader, Writer
from isthmus.codec.container import CompressedFileError
from isthmus.codec.counts import bin_scales, build_scale_bins, expected_shares, to_codes
from isthmus.codec.ready import Codec
from isthmus.codec.symbols import decode_symbols, decode_tiles, encode_symbols, encode_tiles
from isthmus.codec.tables import MAX_SYMBOL

from .reference import RangeDecoder


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    spread=st.sampled_from([0.0, 0.1, 1.0, 20.0, 3000.0, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_symbols_come_back(codec: Codec, height: int, width: int, spread: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    band = codec.tables.bands[seed % len(codec.tables.bands)]
    loud = random.random((band.channels, 1, 1)) < 0.5
    values = np.rint(random.laplace(size=(band.channels, height, width)) * spread * loud)
    symbols = np.clip(values, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)
    data = encode_symbols(symbols, band)
    assert np.array_equal(decode_symbols(data, (height, width), band), symbols)


def some_tiles(
    codec: Codec, sizes: list[tuple[int, int]], spread: float = 2.0
) -> list[npt.NDArray[np.int32]]:
    """Random symbols; each tile has other silent channels."""
    random = np.random.default_rng(0)
    channels = codec.tables.channels
    tiles = []
    for size in sizes:
        loud = random.random((channels, 1, 1)) < 0.6
        tiles.append(np.rint(random.laplace(size=(channels, *size)) * spread * loud).astype(np.int32))
    return tiles


def test_tiles_that_go_together_are_coded_as_each_alone(codec: Codec) -> None:
    sizes = [(8, 8), (1, 1), (5, 8), (8, 3), (1, 6)]
    tiles, band = some_tiles(codec, sizes), codec.tables.bands[-1]
    together = encode_tiles(tiles, band)
    assert together == [encode_symbols(tile, band) for tile in tiles]
    for decoded, tile in zip(decode_tiles(list(zip(together, sizes, strict=True)), band), tiles, strict=True):
        assert isinstance(decoded, np.ndarray)
        assert np.array_equal(decoded, tile)


def test_a_damaged_tile_leaves_those_beside_it_alone(codec: Codec) -> None:
    sizes = [(6, 6)] * 3
    tiles, band = some_tiles(codec, sizes, 40.0), codec.tables.bands[0]
    good = encode_tiles(tiles, band)
    random, errors = np.random.default_rng(0), 0
    for _ in range(60):
        result = decode_tiles([(good[0], sizes[0]), (random.bytes(90), sizes[1]), (good[2], sizes[2])], band)
        errors += isinstance(result[1], CompressedFileError)
        for item, tile in ((result[0], tiles[0]), (result[2], tiles[2])):
            assert isinstance(item, np.ndarray)
            assert np.array_equal(item, tile)
    assert errors  # some of the damage was seen by the coder itself


def test_single_and_double_precision_add_alike(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles, band = some_tiles(codec, [(12, 10)], 3.0), codec.tables.bands[1]
    single = encode_symbols(tiles[0], band)
    monkeypatch.setattr("isthmus.codec.context_model.EXACT_LIMIT", 0)
    assert encode_symbols(tiles[0], band) == single


def test_contexts_save_bytes(codec: Codec, photo: npt.NDArray[np.uint8]) -> None:
    # The same symbols at shuffled places: every table without context would need just as many bytes.
    image = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    symbols = transform.analyse(codec.model, image, 50.0)
    shuffled = np.random.default_rng(0).permuted(symbols.reshape(len(symbols), -1), axis=1)
    band = codec.tables.bands[1]
    assert len(encode_symbols(symbols, band)) < 0.9 * len(
        encode_symbols(shuffled.reshape(symbols.shape), band)
    )


def test_a_silent_tile_takes_a_few_bytes(codec: Codec) -> None:
    band = codec.tables.bands[0]
    assert len(encode_symbols(np.zeros((band.channels, 64, 64), np.int32), band)) < 16


def test_bytes_no_encoder_wrote_give_symbols_or_an_error(codec: Codec) -> None:
    random = np.random.default_rng(0)
    band = codec.tables.bands[-1]
    for _ in range(200):
        data = random.bytes(int(random.integers(0, 60)))
        try:
            result = decode_symbols(data, (5, 4), band)
        except CompressedFileError:
            continue
        assert result.shape == (band.channels, 5, 4)
        assert np.abs(result).max() <= MAX_SYMBOL


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), entries=st.integers(2, 40), count=st.integers(0, 60))
def test_the_coder_takes_integer_weights_as_they_are(seed: int, entries: int, count: int) -> None:
    # Python's own integers decode what the coder wrote: then no rounding of its own is in between.
    random = np.random.default_rng(seed)
    weights = random.multinomial(2**24 - entries, random.dirichlet(np.full(entries, 0.1)), count) + 1
    values = random.integers(0, entries, count).astype(np.int32)
    bits = random.integers(0, 2**15, 7).astype(np.int32)
    writer = Writer()
    writer.categorical(weights.astype(np.float64) - 1, values)
    writer.raw(15, 7, bits)
    data = writer.bytes()
    other = RangeDecoder(data)
    assert [other.symbol([int(w) for w in row]) for row in weights] == values.tolist()
    assert other.raws(15, 7) == bits.tolist()
    reader = Reader(data)
    assert np.array_equal(reader.categorical(weights.astype(np.float64) - 1), values)
    assert np.array_equal(reader.raw(15, 7), bits)


def test_weights_sum_to_the_total_and_none_is_zero(codec: Codec) -> None:
    for band in codec.tables.bands:
        assert band.weights.min() >= 1
        assert (band.weights.sum(-1) == 2**24).all()


def test_rounding_the_logarithms_of_weights_costs_nearly_nothing(codec: Codec) -> None:
    shares = np.random.default_rng(0).gamma(0.3, size=(44, 40, 34)) + 1e-4
    band = replace(codec.tables.bands[0], codes=to_codes(shares))
    exact = shares / shares.sum(-1, keepdims=True)
    assert np.abs(band.weights / 2**24 / exact - 1).max() < 0.08
    # What that costs: the divergence of the two, in bits per symbol.
    assert (exact * np.log2(exact / (band.weights / 2**24))).sum(-1).max() < 1e-3


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0, 40.0])
def test_the_density_behind_the_weights_is_a_logistic(scale: float) -> None:
    # Of many logistic numbers around the middle, rounded, each entry gets about its share.
    shifts = build_scale_bins().shifts
    number = int(np.argmin(np.abs(bin_scales() - scale)))
    drawn = np.random.default_rng(0).logistic(0.5 / 16, bin_scales()[number], 400_000)
    entry = np.rint(drawn).astype(int) >> shifts[number]
    share = expected_shares(shifts)[number, 0]
    for value in (-2, -1, 0, 1, 2):
        assert share[value + 16] == pytest.approx((entry == value).mean(), abs=0.005)
