"""Numbers drawn as charts, as PNG bytes.

Backgrounds are transparent and all ink is of middle brightness, so that a picture reads on white, on black
and on paper. Pixels are for 192 dpi: shown at half their size they are sharp on every screen.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from isthmus.errors import OutputError
from isthmus.escaping import for_drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 192
INK = "#7d828a"
BINS = 40  # of a histogram, over the range of all series together
# Okabe & Ito, "Color universal design" (2008): distinguishable under every common colour blindness. Its
# black and yellow are left out: one of the two would vanish on a dark or a light page.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")

MAX_LEGEND_LETTERS = 80  # of a legend above a chart
MAX_SCALE = 8  # of a chart, which is sharp on every screen without it
MAX_WRITTEN_CLASSES = 20  # up to which every cell of a confusion matrix shows its share


def draw_curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str = "step",
    y_label: str = "",
    log: bool = False,
) -> bytes:
    """Lines over a common axis, such as a training history.

    Args:
        series: name -> points (x, y), for example {"train": [(0, 0.9), (100, 0.4)], "val": ...}. Points that
            are not finite (or, with `log`, not positive) are left out.
        x_label, y_label: what the axes count, with units.
        log: logarithmic y axis.

    Returns:
        A PNG file.
    """
    figure, axes = _chart(7.2, 3.2)
    handles = []
    for number, points in enumerate(series.values()):
        finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)]
        x, y = [p[0] for p in finite], [p[1] for p in finite]
        marker = "o" if len(finite) < 2 else None
        handles += axes.plot(x, y, color=_colour(number), linewidth=1.6, marker=marker, markersize=4)
    if log:
        axes.set_yscale("log")
    _name_axes(axes, x_label, y_label)
    _legend(figure, axes, handles, list(series))
    return _png(figure)


def draw_bars(values: Mapping[str, float], *, label: str = "", highlight: str | None = None) -> bytes:
    """Horizontal bars from top to bottom, each with its number.

    Args:
        values: name -> value; one that is not finite gets no bar, only its number.
        label: what is measured, with units.
        highlight: the one name to be drawn in the second colour.

    Returns:
        A PNG file.
    """
    figure, axes = _chart(7.2, 0.6 + 0.3 * max(len(values), 1))
    names = [for_drawing(name) for name in values]
    lengths = [value if math.isfinite(value) else 0.0 for value in values.values()]
    colours = [PALETTE[1] if name == highlight else PALETTE[0] for name in names]
    drawn = axes.barh(range(len(names)), lengths, height=0.66, color=colours)
    axes.bar_label(drawn, [f"{value:.4g}" for value in values.values()], padding=4, color=INK, fontsize=9)
    axes.set_yticks(range(len(names)), names)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    _name_axes(axes, label, "")
    return _png(figure)


def draw_histogram(series: Mapping[str, ArrayLike], *, x_label: str = "") -> bytes:
    """How often values occur, as shares of each series, over common bins.

    Args:
        series: name -> values of any shape; values that are not finite are left out.
        x_label: what the values are, with units.

    Returns:
        A PNG file.
    """
    figure, axes = _chart(7.2, 3.0)
    arrays = [np.asarray(values, dtype=np.float64).ravel() for values in series.values()]
    arrays = [values[np.isfinite(values)] for values in arrays]
    edges = np.histogram_bin_edges(np.concatenate([*arrays, np.empty(0)]), BINS)
    handles = []
    for number, values in enumerate(arrays):
        counts = np.histogram(values, edges)[0] / max(len(values), 1)
        handles.append(axes.stairs(counts, edges, fill=True, alpha=0.35, color=_colour(number)))
        axes.stairs(counts, edges, color=_colour(number), linewidth=1.2)
    _name_axes(axes, x_label, "share")
    _legend(figure, axes, handles, list(series))
    return _png(figure)


def draw_scatter(
    points: Mapping[str, tuple[float, float]],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
    front: Sequence[str] | None = None,
    scale: int = 1,
) -> bytes:
    """Named points, and the line through those that no other beats in both (more to the left and higher).

    Args:
        points: name -> (x, y).
        x_label, y_label: what the values are, with units.
        log: a logarithmic x axis.
        front: the names on the line, where better is another way than left and up.
        scale: factor of the picture's resolution.

    Returns:
        A PNG file.
    """
    figure, axes = _chart(7.2, 3.6)
    if log:
        from matplotlib.ticker import NullFormatter, ScalarFormatter

        axes.set_xscale("log")
        axes.set_xticks(sorted({x for x, _ in points.values()}))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    best = sorted(points[name] for name in front) if front is not None else _upper_left(points.values())
    axes.plot(*zip(*best, strict=True), color=_colour(0), linewidth=1.2, alpha=0.6)
    for name, (x, y) in points.items():
        axes.plot([x], [y], "o", color=_colour(0 if (x, y) in best else 1))
        label = for_drawing(name)
        annotation = axes.annotate(
            label, (x, y), xytext=(5, 4), textcoords="offset points", color=INK, fontsize=8
        )
        annotation.set_parse_math(False)
    axes.margins(0.15)
    _name_axes(axes, x_label, y_label)
    return _png(figure, scale)


def draw_confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], *, scale: int = 1) -> bytes:
    """Shares of each true class (row) that were predicted as each class (column), as a PNG.

    Args:
        counts: `(k, k)`, row = true class.
        classes: k names.
        scale: factor of the picture's resolution.
    """
    share = counts / counts.sum(1, keepdims=True).clip(1)
    side = min(12.0, 2.0 + 0.42 * len(classes))
    figure, axes = _chart(side + 0.6, side)
    axes.grid(False)
    # Roots, so that rare mistakes are visible next to the many correct ones.
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    names = [for_drawing(name, most=40) for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90)
    axes.set_yticks(range(len(classes)), names)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    if len(classes) <= MAX_WRITTEN_CLASSES:
        for row, column in np.ndindex(share.shape):
            if counts[row, column]:
                colour = "white" if share[row, column] > 0.2 else "#3c4048"
                value = f"{100 * share[row, column]:.0f}" if share[row, column] >= 0.005 else "·"
                axes.text(column, row, value, ha="center", va="center", fontsize=7, color=colour)
    _name_axes(axes, "taken for, % of the class", "class")
    return _png(figure, scale)


def check_chart_scale(scale: int) -> None:
    """Raises:
    OutputError: a resolution that no chart needs.
    """
    if scale > MAX_SCALE:
        raise OutputError(
            "scale={scale}: a chart can be enlarged at most {most} times",
            id="output.chart-scale",
            scale=scale,
            most=MAX_SCALE,
        )


def _upper_left(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _chart(width: float, height: float) -> tuple[Figure, Axes]:
    # Not through pyplot: its list of open figures is global, and never forgets one drawn in a thread.
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=INK, linewidth=0.8)
    axes.grid(True, color=INK, alpha=0.22, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, labelsize=9, width=0.8)
    return figure, axes


def _name_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, color=INK, fontsize=9.5, parse_math=False)
    axes.set_ylabel(y_label, color=INK, fontsize=9.5, parse_math=False)


def _legend(figure: Figure, axes: Axes, handles: Sequence[Any], names: list[str]) -> None:
    if not names:
        return
    how: dict[str, Any] = {"frameon": False, "labelcolor": INK, "fontsize": 9.5}
    # The names go in afterwards: matplotlib refuses those that start with "_" and reads "$" as mathematics.
    names = [for_drawing(name) for name in names]
    stand_ins = ["x" * len(name) for name in names]
    if len("    ".join(names)) <= MAX_LEGEND_LETTERS:  # above the axes nothing is hidden
        legend = figure.legend(handles, stand_ins, loc="outside upper left", ncols=len(names), **how)
    else:
        legend = axes.legend(handles, stand_ins, **how)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _png(figure: Figure, scale: int = 1) -> bytes:
    check_chart_scale(scale)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A folder may be named in any script; a box for a letter the font lacks is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="png", dpi=DPI * scale)
    return stream.getvalue()
