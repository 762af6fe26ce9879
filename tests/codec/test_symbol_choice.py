"""Symbols that are worth their bits: they decode as they were chosen, and files get smaller for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scripts import load_script

from isthmus.codec.coder import TOTAL
from isthmus.codec.context_model import walk_contexts
from isthmus.codec.encoding import encode_picture_at
from isthmus.codec.fidelity import measure_psnr
from isthmus.codec.models import codec_for
from isthmus.codec.picture import read_picture
from isthmus.codec.quantisation import ErrorCosts, SymbolChoice, error_costs, from_steps, quantise
from isthmus.codec.ready import Codec
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.symbols import decode_tiles, encode_latents, encode_tiles
from isthmus.codec.tile_layout import build_tile_layout

Latents = npt.NDArray[np.float32]
bd_rate = load_script("benchmarks/bd_rate.py").bd_rate


def some_latents(codec: Codec, sizes: list[tuple[int, int]], spread: float) -> list[Latents]:
    """Random latents in steps; each tile has other silent channels."""
    random = np.random.default_rng(1)
    channels = codec.tables.channels
    loud = [random.random((channels, 1, 1)) < 0.6 for _ in sizes]
    return [
        (random.laplace(size=(channels, *size)) * spread * on).astype(np.float32)
        for size, on in zip(sizes, loud, strict=True)
    ]


def free_errors(codec: Codec) -> ErrorCosts:
    """Errors that cost nothing: whatever takes fewer bits is chosen."""
    nothing = np.zeros(codec.tables.channels, np.float32)
    return ErrorCosts(nothing, nothing)


@pytest.mark.parametrize("spread", [0.3, 3.0, 400.0])
def test_chosen_symbols_decode_as_they_were_chosen(codec: Codec, spread: float) -> None:
    sizes, band = [(8, 8), (1, 1), (5, 7), (8, 2)], codec.tables.bands[1]
    tiles = some_latents(codec, sizes, spread)
    moved = 0
    for costs in (free_errors(codec), error_costs(codec.model, 40.0)):
        made = encode_latents(SymbolChoice(tiles, costs), band)
        decoded_symbols = decode_tiles(
            [(data, size) for (_, data), size in zip(made, sizes, strict=True)], band
        )
        for latents, (chosen, _), decoded in zip(tiles, made, decoded_symbols, strict=True):
            assert isinstance(decoded, np.ndarray)
            assert np.array_equal(decoded, chosen)
            assert np.abs(chosen - np.rint(latents)).max() <= 1
            assert not chosen[~np.rint(latents).any((1, 2))].any()
            moved += int((chosen != np.rint(latents)).sum())
    assert moved


def test_choices_take_fewer_bytes_where_errors_are_free(codec: Codec) -> None:
    tiles, band = some_latents(codec, [(12, 12)], 1.0), codec.tables.bands[1]
    ((_, data),) = encode_latents(SymbolChoice(tiles, free_errors(codec)), band)
    assert len(data) < 0.9 * len(encode_tiles([np.rint(tiles[0]).astype(np.int32)], band)[0])


@pytest.mark.parametrize("spread", [0.3, 3.0, 400.0])
def test_the_bits_of_symbols_are_those_of_the_file(codec: Codec, spread: float) -> None:
    tile = np.rint(some_latents(codec, [(9, 9)], spread)[0]).astype(np.int32)
    band, at = codec.tables.bands[1], build_tile_layout(((9, 9),))
    given, active = at.columns([tile]), (tile != 0).any((1, 2), keepdims=True).reshape(1, -1)
    total = float(np.log2(TOTAL / np.where(active[0], TOTAL - band.silent, band.silent)).sum())

    def take(channel: int, half: int, model: SymbolModel) -> npt.NDArray[np.int32]:
        nonlocal total
        values = given[channel, at.halves[half]]
        total += float(model.bits(values.astype(np.int64), np.arange(len(values))).sum())
        return values

    walk_contexts(band, at, active, take)
    assert 8 * len(encode_tiles([tile], band)[0]) == pytest.approx(total, abs=40)  # to whole words


def test_files_are_smaller_at_equal_fidelity(
    photo: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, image = codec_for(None), read_picture(photo[40:232, 80:336])

    def curve() -> list[tuple[float, float]]:
        made = [encode_picture_at(image, shipped, quality).data for quality in (1500, 4000, 6500, 9000)]
        return [(len(data), measure_psnr(data, image, shipped)) for data in made]

    chosen = curve()
    monkeypatch.setattr(SymbolChoice, "choose", lambda _, __, nearest, *___: nearest)
    assert bd_rate(chosen, curve()) < -0.5  # per cent of the bytes


def test_latents_of_symbols_round_to_them(codec: Codec) -> None:
    given = np.rint(some_latents(codec, [(6, 6)], 30.0)[0]).astype(np.int32)
    for quality in (1.0, 47.3, 100.0):
        again = quantise(codec.model, from_steps(codec.model, given, quality), quality)
        assert np.array_equal(again, given)
