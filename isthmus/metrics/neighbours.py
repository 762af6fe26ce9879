"""Exact nearest neighbours between two sets of vectors, in bounded memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.wording import format_count


def find_neighbours(
    queries: Tensor,
    reference: Tensor,
    *,
    count: int = 1,
    skip_same_row: bool = False,
    chunk: int = 2048,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """The `count` nearest rows of `reference` by Euclidean distance, nearest first.

    Every pair is compared; the distances returned are taken from the differences themselves, so that a copy
    has distance exactly 0. Besides the inputs, memory holds about chunk² numbers and a few chunks of vectors.
    For cosine distance, scale the rows to length one before: the order is the same, and cosine similarity =
    1 − distance² / 2.

    Args:
        queries: (n, d), floating point.
        reference: (m, d).
        count: neighbours per query, at most m.
        skip_same_row: `queries` and `reference` are the same set; a row is not its own neighbour.
        chunk: rows of each set compared at a time.
        dtype: of the arithmetic; in float32 it is faster, and neighbours of nearly equal distance may swap.

    Returns:
        Distances (n, count), of `dtype`, and row numbers in `reference` (n, count), int64.

    Raises:
        DataError: widths differ, values are not finite, or there are fewer than `count` neighbours.
    """
    _check(queries, reference, count, skip_same_row)
    parts = [
        _search_chunk(
            queries[start : start + chunk].to(dtype),
            reference,
            count,
            start if skip_same_row else None,
            chunk,
        )
        for start in range(0, len(queries), chunk)
    ]
    if not parts:
        empty = torch.empty(0, count, device=queries.device)
        return empty.to(dtype), empty.long()
    distances, rows = zip(*parts, strict=True)
    return torch.cat(distances), torch.cat(rows)


def _search_chunk(
    points: Tensor, reference: Tensor, count: int, first_row: int | None, chunk: int
) -> tuple[Tensor, Tensor]:
    best = torch.empty(len(points), 0, dtype=points.dtype, device=points.device)
    rows = torch.empty(len(points), 0, dtype=torch.int64, device=points.device)
    for start in range(0, len(reference), chunk):
        reference_chunk = reference[start : start + chunk].to(points.dtype)
        # |a − b|² up to |a|², which is the same for all candidates of one query.
        score = torch.addmm(reference_chunk.square().sum(1), points, reference_chunk.T, alpha=-2)
        if first_row is not None:
            _skip_diagonal(score, first_row - start)
        scores, index = score.topk(min(count, len(reference_chunk)), largest=False)
        best, rows = torch.cat((best, scores), 1), torch.cat((rows, index + start), 1)
        best, columns = best.topk(min(count, best.shape[1]), largest=False)
        rows = rows.gather(1, columns)
    distances = _pair_distances(points, reference, rows)
    distances, order = distances.sort(stable=True, dim=1)
    return distances, rows.gather(1, order)


def _skip_diagonal(score: Tensor, offset: int) -> None:
    """Put infinity where row i meets column i + offset: the same vector on both sides."""
    row = torch.arange(len(score), device=score.device)
    column = row + offset
    inside = (column >= 0) & (column < score.shape[1])
    score[row[inside], column[inside]] = math.inf


def _pair_distances(points: Tensor, reference: Tensor, rows: Tensor) -> Tensor:
    columns = [torch.linalg.vector_norm(points - reference[row].to(points.dtype), dim=1) for row in rows.T]
    return torch.stack(columns, 1)


def check_widths(queries: Tensor, reference: Tensor) -> None:
    """Raises:
    DataError: these are not rows of one width.
    """
    if queries.ndim != 2 or reference.ndim != 2 or queries.shape[1] != reference.shape[1]:
        raise DataError(
            "vectors of one width are needed, got {first} and {second}",
            id="metric.vectors-width",
            first=tuple(queries.shape),
            second=tuple(reference.shape),
        )


def check_finite(queries: Tensor, reference: Tensor) -> None:
    """Raises:
    DataError: values that are not finite.
    """
    if not (queries.isfinite().all() and reference.isfinite().all()):
        raise DataError(
            "vectors to be compared hold infinite or undefined values", id="metric.vectors-not-finite"
        )


def _check(queries: Tensor, reference: Tensor, count: int, skip_same_row: bool) -> None:
    check_widths(queries, reference)
    available = len(reference) - int(skip_same_row)
    if not 1 <= count <= available:
        raise DataError(
            "{neighbours} were requested, but there are only {available} candidates",
            id="metric.neighbours",
            neighbours=format_count(count, "nearest neighbour"),
            available=max(available, 0),
        )
    check_finite(queries, reference)
