"""Tables in a model file: facts and tensors of the attachment `codec`, each band deflated.

Every band but the first is stored as the differences from the one before, which takes a third less space.
Files of format 1 keep every band whole, and are read as well.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.tables import MAX_BINS, MAX_CHANNELS, Band, Tables, shapes
from isthmus.errors import ModelFileError, one_line
from isthmus.images.idx import DEFLATE_LIMIT
from isthmus.installation import upgrade_hint
from isthmus.model.attachment_check import DAMAGE, sides, whole_number

if TYPE_CHECKING:
    from torch import Tensor

ATTACHMENT = "codec"
FORMAT = 2
MAX_PROOF_SYMBOLS = 2**22


def to_attachment(tables: Tables) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors, as a model file keeps them."""
    import torch

    arrays: dict[str, npt.NDArray[Any]] = {
        "proof.symbols": tables.proof_symbols,
        "proof.bytes": np.frombuffer(tables.proof_bytes, np.uint8).copy(),
    }
    previous: Band | None = None
    for number, band in enumerate(tables.bands):
        arrays[f"band.{number}"] = np.frombuffer(pack_band(band, previous), np.uint8).copy()
        previous = band
    facts = {
        "format": FORMAT,
        "bins": len(tables.bands[0].shifts),
        "qualities": list(tables.qualities),
        "proof_band": tables.proof_band,
    }
    return facts, {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}


def from_attachment(
    facts: Mapping[str, Any], tensors: Mapping[str, Tensor], *, channels: int | None = None
) -> Tables:
    """The inverse of `to_attachment`, with every number checked.

    Args:
        channels: of the model's code, which the tables must have too.

    Raises:
        ModelFileError: from a later version, or not what `to_attachment` gives.
    """
    try:
        version = int(facts["format"])
        if version > FORMAT:
            raise ModelFileError(
                "the model's codec tables are of a later version ({version}, this one reads {supported})",
                id="codec.tables-later-version",
                hint=upgrade_hint(),
                version=version,
                supported=FORMAT,
            )
        qualities = sides(facts, "qualities", count=(1, 255), high=10_000)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        bins = whole_number(facts, "bins", 1, MAX_BINS)
        if arrays["proof.symbols"].size > MAX_PROOF_SYMBOLS:
            raise ValueError("its proof is too large")
        stored_channels = len(arrays["proof.symbols"])
        if channels is not None and stored_channels != channels:
            raise ModelFileError(
                "the model's codec tables are for {given} channels, and its code has {expected}",
                id="codec.tables-channels",
                given=stored_channels,
                expected=channels,
            )
        channels = stored_channels
        if not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(f"{channels} channels")
        bands: list[Band] = []
        for number in range(len(qualities)):
            previous = bands[-1] if bands and version > 1 else None
            bands.append(unpack_band(arrays[f"band.{number}"].tobytes(), channels, bins, previous))
        tables = Tables(
            bands=tuple(bands),
            qualities=qualities,
            proof_symbols=arrays["proof.symbols"],
            proof_bytes=arrays["proof.bytes"].tobytes(),
            proof_band=whole_number(facts, "proof_band", 0, len(bands) - 1),
        )
        _check(tables)
    except DAMAGE as error:
        raise ModelFileError(
            "the model's codec tables are damaged ({reason})",
            id="codec.tables-damaged",
            reason=one_line(error),
        ) from None
    return tables


def pack_band(band: Band, previous: Band | None = None) -> bytes:
    """All arrays of a band in order, each as its lowest bytes, then the next higher ones; deflated.

    With the band `previous`, each array stands for its differences from that one's.
    """
    parts = []
    for name in shapes(band.channels, len(band.shifts)):
        array = np.ascontiguousarray(getattr(band, name))
        if previous is not None:
            array = _fold_differences(array, getattr(previous, name))
        planes = array.astype(array.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, array.itemsize)
        parts.append(planes.T.tobytes())
    return zlib.compress(b"".join(parts), 9)


def unpack_band(data: bytes, channels: int, bins: int, previous: Band | None = None) -> Band:
    """The inverse of `pack_band`; never inflates more than such a band has.

    Raises:
        ValueError: not what `pack_band` gives.
    """
    layout = shapes(channels, bins)
    total = sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in layout.values())
    if total > len(data) * DEFLATE_LIMIT:
        raise ValueError("a band of another length")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, total + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(plain) != total or not inflater.eof or inflater.unused_data:
        raise ValueError("a band of another length")
    arrays: dict[str, Any] = {}
    at = 0
    for name, (kind, shape) in layout.items():
        size = np.dtype(kind).itemsize
        planes = np.frombuffer(plain, np.uint8, math.prod(shape) * size, at).reshape(size, -1)
        little = np.dtype(kind).newbyteorder("<")
        array = np.ascontiguousarray(planes.T).view(little).astype(kind).reshape(shape)
        arrays[name] = array if previous is None else _unfold_differences(array, getattr(previous, name))
        at += planes.size
    return Band(**arrays)


def _fold_differences(array: npt.NDArray[Any], previous: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Differences, around the ends of the type, folded so that small ones of both signs are small bytes."""
    signed = np.dtype(f"i{array.itemsize}")
    steps = array.view(signed) - previous.view(signed)
    folded: npt.NDArray[Any] = (steps << 1) ^ (steps >> (8 * array.itemsize - 1))
    return folded


def _unfold_differences(folded: npt.NDArray[Any], previous: npt.NDArray[Any]) -> npt.NDArray[Any]:
    plain = np.dtype(f"u{folded.itemsize}")
    bits = folded.view(plain)
    steps = (bits >> 1) ^ (~(bits & 1) + plain.type(1))
    array: npt.NDArray[Any] = (steps + previous.view(plain)).view(folded.dtype)
    return array


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
