"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isthmus.escaping import for_drawing
from isthmus.evaluation.drawing.pictures import _chart, _name_axes, _png

WRITTEN = 20  # classes up to which every cell shows its share


def confusion_picture(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Shares of each true class (row) that were taken for each class (column), as a PNG.

    Args:
        counts: `(k, k)`, row = true class.
        classes: k names.
    """
    share = counts / counts.sum(1, keepdims=True).clip(1)
    side = min(12.0, 2.0 + 0.42 * len(classes))
    figure, axes = _chart(side + 0.6, side)
    axes.grid(False)
    # Roots, so that rare mistakes are seen beside what is nearly always right.
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    names = [for_drawing(name, most=40) for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90)
    axes.set_yticks(range(len(classes)), names)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    if len(classes) <= WRITTEN:
        for row, column in np.ndindex(share.shape):
            if counts[row, column]:
                colour = "white" if share[row, column] > 0.2 else "#3c4048"
                value = f"{100 * share[row, column]:.0f}" if share[row, column] >= 0.005 else "·"
                axes.text(column, row, value, ha="center", va="center", fontsize=7, color=colour)
    _name_axes(axes, "taken for, % of the class", "class")
    return _png(figure)
