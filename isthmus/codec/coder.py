"""Integers to bytes and back under given probabilities: `constriction`'s range coder, with its edges padded.

Probabilities are exact on any machine: integer weights w ≥ 1 that sum to 2²⁴, given as w − 1 in float64 with
`perfect=False`, are the probabilities w / 2²⁴. Its arithmetic is 64-bit integers; docs/reference/format.md
writes it out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from isthmus.codec.container import CompressedFileError

PRECISION = 24
TOTAL = 1 << PRECISION
RAW_BITS = 12  # longest run of bits coded as one uniform symbol

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
_Result = TypeVar("_Result")


class Coder(Protocol):
    """One direction of coding. The encoder takes values and returns them; the decoder reads them."""

    def categorical(self, weights: Floats, values: Ints | None) -> Ints:
        """One value per row of `weights (N, n)`, the integer weights minus 1."""

    def raw(self, bits: int, count: int, values: Ints | None) -> Ints:
        """`count` values of `bits` bits each, 0 ≤ value < 2^bits, all equally likely."""


class Writer:
    """The encoder."""

    def __init__(self) -> None:
        self._encoder: Any = _constriction().stream.queue.RangeEncoder()

    def categorical(self, weights: Floats, values: Ints | None) -> Ints:
        assert values is not None
        if len(values):
            _call_guarded(lambda: self._encoder.encode(values, _family(), weights))
        return values

    def raw(self, bits: int, count: int, values: Ints | None) -> Ints:
        assert values is not None and len(values) == count
        for shift, part in _parts(bits):
            piece = np.asarray((values >> shift) & ((1 << part) - 1), np.int32)
            if count:
                self._encoder.encode(piece, _uniform(part))
        return values

    def bytes(self) -> bytes:
        """What was written: little-endian words, without zero bytes at the end, which a reader adds."""
        words: npt.NDArray[np.uint32] = self._encoder.get_compressed()
        return words.astype("<u4").tobytes().rstrip(b"\0")


class Reader:
    """The decoder. Bytes that no encoder wrote give some values, or an error, never anything worse."""

    def __init__(self, data: bytes | memoryview) -> None:
        padded = bytes(data) + b"\0" * (-len(data) % 4)
        words = np.frombuffer(padded, dtype="<u4").astype(np.uint32)
        self._decoder: Any = _call_guarded(lambda: _constriction().stream.queue.RangeDecoder(words))

    def categorical(self, weights: Floats, values: Ints | None = None) -> Ints:  # noqa: ARG002
        if not len(weights):
            return np.zeros(0, np.int32)
        values_read: Ints = _call_guarded(lambda: self._decoder.decode(_family(), weights))
        return values_read

    def raw(self, bits: int, count: int, values: Ints | None = None) -> Ints:  # noqa: ARG002
        values_read: Ints = np.zeros(count, np.int32)
        for shift, part in _parts(bits):
            if count:
                piece: Ints = _call_guarded(partial(self._decoder.decode, _uniform(part), count))
                values_read |= piece << shift
        return values_read


def _parts(bits: int) -> list[tuple[int, int]]:
    """(shift, bits) of each piece, the lowest bits first."""
    return [(shift, min(RAW_BITS, bits - shift)) for shift in range(0, bits, RAW_BITS)]


def _call_guarded(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except BaseException as error:
        # A panic in Rust is not an Exception; all other errors that are none must pass.
        if not isinstance(error, (ValueError, AssertionError)) and type(error).__name__ != "PanicException":
            raise
        raise CompressedFileError(
            "damaged: its symbols cannot be decoded", id="compressed-file.symbols"
        ) from None


def _constriction() -> Any:
    import constriction

    return constriction


@cache
def _family() -> Any:
    return _constriction().stream.model.Categorical(perfect=False)


@cache
def _uniform(bits: int) -> Any:
    return _constriction().stream.model.Uniform(1 << bits)
