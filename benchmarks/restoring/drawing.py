"""Rows of the tables, and a strip of pictures under every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.images.write import save_image


def show(label: str, results: dict[str, dict[str, float]]) -> None:
    for name, numbers in results.items():
        cells = [
            f"{numbers[k]:.{d}f}" if k in numbers else ""
            for k, d in (("psnr", 2), ("ssim", 4), ("seconds", 3))
        ]
        print(f"| {label} | {name} | {' | '.join(cells)} |", flush=True)


def row(cells: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The middle 160×160 of each, side by side."""
    parts = []
    for cell in cells:
        top, left = max(0, (cell.shape[0] - 160) // 2), max(0, (cell.shape[1] - 160) // 2)
        part = np.clip(cell[top : top + 160, left : left + 160], 0, 1)
        parts.append(np.stack([part] * 3, -1) if part.ndim == 2 else part)
    return np.concatenate(parts, 1)


def save_strip(path: Path | None, what: str, rows: list[npt.NDArray[Any]], names: list[str]) -> None:
    if path is not None and rows:
        place = path.with_stem(f"{path.stem}-{what}")
        save_image(place, np.concatenate(rows, 0))
        print(f"{place}: {', '.join(names)}")
