"""Rows as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.escaping import for_terminal


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns of plain text: numbers to the right, words to the left, floats with four digits.

    Args:
        header: one name per column.
        rows: one value per column; None is shown as "-".

    Raises:
        ValueError: a row has another length than the header.
    """
    texts = [[for_terminal(str(name)) for name in header], *([_cell(value) for value in row] for row in rows)]
    columns = list(zip(*texts, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [
        any(_is_number(row[index]) for row in rows)
        and all(row[index] is None or _is_number(row[index]) for row in rows)
        for index in range(len(header))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in texts
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else for_terminal(str(value))
