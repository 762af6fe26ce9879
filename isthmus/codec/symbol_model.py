"""How likely each symbol is, from its mean and bin, and its coding: entry, escape and raw bits."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Coder, Floats, Ints
from isthmus.codec.container import CompressedFileError
from isthmus.codec.tables import (
    CLASSES,
    ENTRIES,
    MAX_DIRECT_RESIDUAL,
    MAX_SYMBOL,
    MEAN_BITS,
    MEAN_UNIT,
    Band,
    Integers,
    mean_classes,
)

_LENGTH_BITS = 5
_LARGEST_LENGTH = 17  # bits of the largest escape: residuals stay below 2¹⁷

Where = npt.NDArray[np.intp]


class SymbolModel:
    """What symbols are likely to be, from their means (in 1/MEAN_UNIT) and bins, and the coding of them."""

    def __init__(self, band: Band, mean: Integers, bins: Where) -> None:
        self.mean = mean
        raised = mean + MEAN_UNIT // 2
        self.middle = raised >> MEAN_BITS  # rounds down, also below zero
        place = raised & (MEAN_UNIT - 1)  # of the mean, from half a step below that integer
        self.mirror = np.where(place < MEAN_UNIT // 2, -1, 1)
        self.shift = band.shifts_wide.take(bins)
        zone = np.minimum(np.maximum(self.middle, -2), 2) + 2
        classes = _classes_by_zone().take(zone * MEAN_UNIT + place)
        self.tables = bins * CLASSES + classes  # (n,) rows of the band's weights
        self._band = band
        self._largest_shift = int(self.shift.max(initial=0))

    def code(self, coder: Coder, part: slice, values: Ints | None) -> Ints:
        """The symbols of the columns `part`: an encoder codes `values` (n,), a decoder reads them."""
        middle, mirror, shift = self.middle[part], self.mirror[part], self.shift[part]
        residual = None if values is None else (values[part] - middle) * mirror
        high = residual if residual is None or not self._largest_shift else residual >> shift
        known_entry = None if high is None else _entries(high).astype(np.int32)
        entry = coder.categorical(self._band.coder_weights.take(self.tables[part], axis=0), known_entry)
        symbols = entry.astype(np.int64) - MAX_DIRECT_RESIDUAL
        if entry.max(initial=0) == ENTRIES - 1:
            outside = np.flatnonzero(entry == ENTRIES - 1)
            symbols[outside] = _code_escapes(coder, None if high is None else high[outside], len(outside))
        if self._largest_shift:
            symbols <<= shift
        for bits in range(1, self._largest_shift + 1):
            places = np.flatnonzero(shift == bits)
            bits_given = None if residual is None else (residual[places] & ((1 << bits) - 1)).astype(np.int32)
            symbols[places] += coder.raw(bits, len(places), bits_given)
        if values is not None:
            return values[part]
        symbols *= mirror
        symbols += middle
        if max(symbols.max(initial=0), -symbols.min(initial=0)) > MAX_SYMBOL:
            raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
        return symbols.astype(np.int32)

    def bits(self, values: Integers, columns: Where) -> Floats:
        """What coding `values` (…, k) in these k columns takes, in bits."""
        high = ((values - self.middle[columns]) * self.mirror[columns]) >> self.shift[columns]
        bits: Floats = self._band.bits.take(self.tables[columns] * ENTRIES + _entries(high))
        outside = np.abs(high) > MAX_DIRECT_RESIDUAL
        if outside.any():
            bits[outside] += 1 + _LENGTH_BITS + _lengths(np.abs(high[outside]) - MAX_DIRECT_RESIDUAL)
        return bits + self.shift[columns]


def _entries(high: Integers) -> Integers:
    return np.where(np.abs(high) > MAX_DIRECT_RESIDUAL, ENTRIES - 1, high + MAX_DIRECT_RESIDUAL)


def _lengths(beyond: Integers) -> Ints:
    return np.frexp(beyond)[1].astype(np.int32) - 1


@cache
def _classes_by_zone() -> Integers:
    """`mean_classes` of the nearest integers −2 to 2 and of each place around them, flat."""
    away = np.arange(MEAN_UNIT) - MEAN_UNIT // 2
    return np.concatenate([mean_classes(np.full(MEAN_UNIT, middle), away) for middle in range(-2, 3)])


def code_active_channels(
    coder: Coder, band: Band, active: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """(C,): the channels that are not zero throughout a tile, coded as one flag each."""
    silent: Ints | None = None if active is None else np.asarray(~active, np.int32)
    weights = np.stack([TOTAL - band.silent, band.silent], 1).astype(np.float64) - 1
    return np.asarray(coder.categorical(weights, silent) == 0)


def _code_escapes(coder: Coder, values: npt.NDArray[np.int64] | None, count: int) -> npt.NDArray[np.int64]:
    """Values beyond ±REACH: sign, length of what is beyond in bits (Elias 1975, gamma), then those bits."""
    beyond = None if values is None else np.abs(values) - MAX_DIRECT_RESIDUAL  # at least 1
    sign = coder.raw(1, count, None if values is None else (values < 0).astype(np.int32))
    length = None if beyond is None else _lengths(beyond)
    flat = np.full((count, 1 << _LENGTH_BITS), TOTAL / (1 << _LENGTH_BITS) - 1)
    length = coder.categorical(flat, length)
    if count and length.max() >= _LARGEST_LENGTH:
        raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
    magnitude = np.ones(count, np.int64) << length
    for bits in range(1, int(length.max(initial=0)) + 1):
        places = np.flatnonzero(length == bits)
        low_bits = None if beyond is None else (beyond[places] & ((1 << bits) - 1)).astype(np.int32)
        magnitude[places] += coder.raw(bits, len(places), low_bits)
    return (magnitude + MAX_DIRECT_RESIDUAL) * np.where(sign == 1, -1, 1)
