"""Comparisons with what version 0.1 gave, its files, and commands run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.__main__ import main

FILES = Path(__file__).parent / "0.1"
RELATIVE = 1e-4  # of codes and outputs, of the largest number in them
STEP = 2e-5  # of weights after one more training step: a fiftieth of the rate, for sums in another order
LEVELS = 1  # of pixels


def packed(folder: str) -> list[str]:
    """Names of the files in `FOLDER.zip`, without suffixes."""
    with zipfile.ZipFile(FILES / f"{folder}.zip") as archive:
        return sorted(
            name.removesuffix(".safetensors").removesuffix(".resume") for name in archive.namelist()
        )


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as result:
        return dict(result)


def check_numbers(values: Any, expected: npt.NDArray[Any], tolerance: float = RELATIVE) -> None:
    """Assert the same shape, and differences of at most `tolerance` of the largest expected number."""
    array = np.asarray(values)
    assert array.shape == expected.shape
    largest = float(np.abs(expected).max())
    assert float(np.abs(array - expected).max()) <= tolerance * largest


def check_pixels(pixels: Any, expected: npt.NDArray[Any]) -> None:
    """Assert the same shape and levels that differ by at most one."""
    array = np.asarray(pixels)
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype == np.uint8
    assert int(np.abs(array.astype(int) - expected).max()) <= LEVELS


def run(*words: str) -> dict[str, Any]:
    """The document that a command prints with `--json`."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert main([*words, "--json", "--quiet"]) == 0
    document: dict[str, Any] = json.loads(stream.getvalue())
    return document


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensor entries and metadata of a safetensors file, as its bytes say."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    metadata: dict[str, str] = header.pop("__metadata__", {})
    return header, metadata


def key_paths(value: Any, prefix: str = "") -> set[str]:
    """Paths of all keys in a JSON document, `a.b` and `a[].b`."""
    if isinstance(value, dict):
        return {
            path
            for key, item in value.items()
            for path in {prefix + key, *key_paths(item, f"{prefix}{key}.")}
        }
    if isinstance(value, list):
        return {path for item in value for path in key_paths(item, f"{prefix.removesuffix('.')}[].")}
    return set()
