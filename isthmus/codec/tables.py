"""The integers that turn symbols into bytes: fitted once to a trained model, and stored in its file.

A `Band` serves a range of qualities. Everything in it is an integer, because what drives an entropy coder
must be equal on every machine; docs/format.md says how the numbers are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Floats
from isthmus.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

ATTACHMENT = "codec"
FORMAT = 1
LARGEST = 32767  # of a symbol's magnitude
TAPS = 9  # the 3×3 neighbourhood, row by row
CROSS = (1, 3, 5, 7)  # of these, the four that touch the middle: up, left, right, down
MEAN_UNIT = 1024  # a mean is a sum of weights × symbols / MEAN_UNIT
FRACTIONS = 4  # classes of the distance from a mean to the nearest integer
REACH = 16  # residuals of at most this magnitude have their own weight; larger ones escape
ENTRIES = 2 * REACH + 2
MAX_BINS = 256
MAX_CHANNELS = 4096

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """Contexts and tables for one range of qualities, of C channels, S bins of scale.

    Attributes:
        mean, scale: int16 (C·(C−1)/2, 9): weights of channel j's symbols (of their magnitudes' measure) for
            channel i > j, row i·(i−1)/2 + j, over the 3×3 neighbourhood.
        mean_own, scale_own: int16 (C, 4): of the channel's own four neighbours, second half only.
        mean_bias, scale_bias: int32 (2, C): by half.
        thresholds: int32 (S−1,), rising: a scale at or above `thresholds[k]` is in bin k + 1 or above.
        shifts: int32 (S,): lowest bits of a residual that are coded raw.
        weights: int32 (S, FRACTIONS, ENTRIES): each row sums to 2²⁴, all at least 1.
        silent: int32 (C,): weight, out of 2²⁴, of a channel's being all zero in a tile.
    """

    mean: npt.NDArray[np.int16]
    scale: npt.NDArray[np.int16]
    mean_own: npt.NDArray[np.int16]
    scale_own: npt.NDArray[np.int16]
    mean_bias: npt.NDArray[np.int32]
    scale_bias: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int32]
    silent: npt.NDArray[np.int32]

    @property
    def channels(self) -> int:
        return len(self.silent)

    @cached_property
    def mean_rows(self) -> Floats:
        """(C, C·9): `mean` as a square matrix."""
        return _square(self.mean, self.channels)

    @cached_property
    def scale_rows(self) -> Floats:
        return _square(self.scale, self.channels)

    @cached_property
    def coder_weights(self) -> Floats:
        """`weights` − 1 as the coder wants them."""
        return self.weights.astype(np.float64) - 1

    def check(self) -> None:
        """Raises:
        ValueError: not numbers that this code could have fitted.
        """
        c, s = self.channels, len(self.shifts)
        shapes = {
            "mean": (c * (c - 1) // 2, TAPS),
            "scale": (c * (c - 1) // 2, TAPS),
            "mean_own": (c, 4),
            "scale_own": (c, 4),
            "mean_bias": (2, c),
            "scale_bias": (2, c),
            "thresholds": (s - 1,),
            "shifts": (s,),
            "weights": (s, FRACTIONS, ENTRIES),
            "silent": (c,),
        }
        if not (1 <= c <= MAX_CHANNELS and 1 <= s <= MAX_BINS):
            raise ValueError(f"{c} channels, {s} bins")
        for name, shape in shapes.items():
            value = getattr(self, name)
            kind = np.int16 if name in ("mean", "scale", "mean_own", "scale_own") else np.int32
            if value.shape != shape or value.dtype != kind:
                raise ValueError(f"{name} is {value.dtype} {value.shape}, not {np.dtype(kind)} {shape}")
        if (np.diff(self.thresholds) < 0).any() or self.shifts.min() < 0 or self.shifts.max() > 12:
            raise ValueError("thresholds fall, or shifts are out of range")
        if self.weights.min() < 1 or (self.weights.sum(-1, dtype=np.int64) != TOTAL).any():
            raise ValueError("a table of weights does not sum to 2^24")
        if self.silent.min() < 1 or self.silent.max() >= TOTAL:
            raise ValueError("weights of silence are out of range")


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """All bands, with the quality at which each was fitted, and the proof that they work here.

    Attributes:
        bands: by rising quality.
        qualities: (bands,), in hundredths.
        proof_symbols: int32 (C, h, w), a piece of a real image's code.
        proof_bytes: what band `proof_band` makes of it.
    """

    bands: tuple[Band, ...]
    qualities: tuple[int, ...]
    proof_symbols: npt.NDArray[np.int32]
    proof_bytes: bytes
    proof_band: int = 0

    @property
    def channels(self) -> int:
        return self.bands[0].channels

    def nearest(self, quality: int) -> int:
        """Number of the band fitted nearest to `quality` (hundredths)."""
        return int(np.argmin(np.abs(np.asarray(self.qualities) - quality)))


def to_attachment(tables: Tables) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors, as a model file keeps them."""
    import torch

    arrays: dict[str, npt.NDArray[Any]] = {
        "proof.symbols": tables.proof_symbols,
        "proof.bytes": np.frombuffer(tables.proof_bytes, np.uint8).copy(),
    }
    for number, band in enumerate(tables.bands):
        arrays |= {f"{number}.{name}": getattr(band, name) for name in Band.__dataclass_fields__}
    facts = {"format": FORMAT, "qualities": list(tables.qualities), "proof_band": tables.proof_band}
    return facts, {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}


def from_attachment(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tables:
    """The inverse of `to_attachment`, with every number checked.

    Raises:
        ModelFileError: from a later version, or not what `to_attachment` gives.
    """
    try:
        version = int(facts["format"])
        if version > FORMAT:
            raise ModelFileError(
                f"the model's codec tables are of a later version ({version}, this one reads {FORMAT})",
                hint="pip install --upgrade isthmus",
            )
        qualities = tuple(int(q) for q in facts["qualities"])
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        bands = tuple(
            Band(**{name: arrays[f"{number}.{name}"] for name in Band.__dataclass_fields__})
            for number in range(len(qualities))
        )
        tables = Tables(
            bands=bands,
            qualities=qualities,
            proof_symbols=arrays["proof.symbols"],
            proof_bytes=arrays["proof.bytes"].tobytes(),
            proof_band=int(facts["proof_band"]),
        )
        _check(tables)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ModelFileError(f"the model's codec tables are damaged ({why})") from None
    return tables


def _check(tables: Tables) -> None:
    if not 1 <= len(tables.bands) <= 255 or list(tables.qualities) != sorted(set(tables.qualities)):
        raise ValueError("no bands, or their qualities do not rise")
    for band in tables.bands:
        band.check()
        if band.channels != tables.channels:
            raise ValueError("bands of different numbers of channels")
    proof = tables.proof_symbols
    if proof.ndim != 3 or proof.shape[0] != tables.channels or proof.dtype != np.int32:
        raise ValueError("its proof has another shape")
    if not 0 <= tables.proof_band < len(tables.bands):
        raise ValueError("its proof names no band")


def _square(packed: npt.NDArray[np.int16], channels: int) -> Floats:
    full = np.zeros((channels, channels, TAPS))
    full[np.tril_indices(channels, -1)] = packed
    return full.reshape(channels, channels * TAPS)
