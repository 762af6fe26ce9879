"""Arrays and numbers drawn as PNG bytes, for the report and for files.

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
from numpy.typing import ArrayLike, NDArray

from isthmus.errors import DataError
from isthmus.escaping import for_drawing
from isthmus.images.conform import to_dtype

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image as PillowImage

DPI = 192
INK = "#7d828a"
# Okabe & Ito, "Color universal design" (2008): told apart under every common colour blindness. Its black and
# yellow are left out: one of the two would vanish on a dark or a light page.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")

CELL_LEAST, CELL_MOST = 128, 320
GAP, LABEL = 8, 26
LEGEND_ROW = 80  # letters of a legend that fit above a chart


def before_after(
    rows: Sequence[tuple[str, ArrayLike | Sequence[NDArray[Any]]]], *, columns: int = 10
) -> bytes:
    """One strip of images per row, its title above it; column j of all rows belongs together.

    Small images are enlarged by a whole factor without smoothing, large ones shrunk by averaging.

    Args:
        rows: (title, images); images are (N, H, W) or (N, H, W, C), or a list of (H, W, C) of any sizes,
            uint8, uint16 or floats in [0, 1] (clipped).
            1 channel is shown as grey, 3 as colours, 4 with transparency, any other number as its mean.
        columns: the most images shown of each row.

    Returns:
        A PNG file.

    Raises:
        DataError: no rows, a row without images, or arrays of another number of axes.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not rows:
        raise DataError("no rows of images to draw")
    strips = [
        (for_drawing(title), [_cell(image) for image in _images(title, images)[:columns]])
        for title, images in rows
    ]
    wide = max(cell.width for _, cells in strips for cell in cells)
    many = max(len(cells) for _, cells in strips)
    font = ImageFont.load_default(LABEL)
    line = round(LABEL * 1.6)
    width = many * (wide + GAP) - GAP
    for title, _ in strips:
        width = max(width, math.ceil(font.getlength(title)) + 2)
    height = sum(line + max(cell.height for cell in cells) + 2 * GAP for _, cells in strips) - 2 * GAP
    sheet = Image.new("RGBA", (width, height), (125, 130, 138, 0))
    draw = ImageDraw.Draw(sheet)
    top = 0
    for title, cells in strips:
        draw.text((0, top), title, font=font, fill=INK)
        top += line
        for number, cell in enumerate(cells):
            sheet.alpha_composite(cell, (number * (wide + GAP), top))
        top += max(cell.height for cell in cells) + 2 * GAP
    stream = io.BytesIO()
    sheet.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def curves(
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
        kept = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)]
        x, y = [p[0] for p in kept], [p[1] for p in kept]
        marker = "o" if len(kept) < 2 else None
        handles += axes.plot(x, y, color=_colour(number), linewidth=1.6, marker=marker, markersize=4)
    if log:
        axes.set_yscale("log")
    _name_axes(axes, x_label, y_label)
    _legend(figure, axes, handles, list(series))
    return _png(figure)


def bars(values: Mapping[str, float], *, label: str = "", highlight: str | None = None) -> bytes:
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


def histogram(series: Mapping[str, ArrayLike], *, x_label: str = "", bins: int = 40) -> bytes:
    """How often values occur, as shares of each series, over common bins.

    Args:
        series: name -> values of any shape; values that are not finite are left out.
        x_label: what the values are, with units.
        bins: number of bins over the range of all series together.

    Returns:
        A PNG file.
    """
    figure, axes = _chart(7.2, 3.0)
    kept = [np.asarray(values, dtype=np.float64).ravel() for values in series.values()]
    kept = [values[np.isfinite(values)] for values in kept]
    edges = np.histogram_bin_edges(np.concatenate([*kept, np.empty(0)]), bins)
    handles = []
    for number, values in enumerate(kept):
        counts = np.histogram(values, edges)[0] / max(len(values), 1)
        handles.append(axes.stairs(counts, edges, fill=True, alpha=0.35, color=_colour(number)))
        axes.stairs(counts, edges, color=_colour(number), linewidth=1.2)
    _name_axes(axes, x_label, "share")
    _legend(figure, axes, handles, list(series))
    return _png(figure)


def scatter(
    points: Mapping[str, tuple[float, float]],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
    front: Sequence[str] | None = None,
) -> bytes:
    """Named points, and the line through those that no other beats in both (more to the left and higher).

    Args:
        points: name -> (x, y).
        x_label, y_label: what the values are, with units.
        log: a logarithmic x axis.
        front: the names on the line, where better is another way than left and up.

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
        shown = axes.annotate(label, (x, y), xytext=(5, 4), textcoords="offset points", color=INK, fontsize=8)
        shown.set_parse_math(False)
    axes.margins(0.15)
    _name_axes(axes, x_label, y_label)
    return _png(figure)


def _upper_left(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _images(title: str, images: ArrayLike | Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    if (
        isinstance(images, list)
        and images
        and all(np.ndim(image) == 3 and np.size(image) for image in images)
    ):
        return images
    array = np.asarray(images)
    if array.ndim not in (3, 4) or len(array) == 0 or 0 in array.shape:
        raise DataError(f"'{title}' should be images (N, H, W) or (N, H, W, C), not an array {array.shape}")
    return list(array if array.ndim == 4 else array[..., None])


def _cell(image: NDArray[Any]) -> PillowImage:
    from PIL import Image, ImageDraw

    if image.dtype == np.uint16:
        image = to_dtype(image, np.uint8)
    elif image.dtype != np.uint8:
        image = (np.nan_to_num(image.astype(np.float64)).clip(0, 1) * 255).round().astype(np.uint8)
    if image.shape[2] not in (1, 3, 4):
        image = image.mean(2, keepdims=True).round().astype(np.uint8)
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("RGBA")
    longest = max(picture.size)
    if longest > CELL_MOST:
        picture.thumbnail((CELL_MOST, CELL_MOST), Image.Resampling.BOX)
    else:
        factor = math.ceil(CELL_LEAST / longest)
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    framed = Image.new("RGBA", (picture.width + 2, picture.height + 2), (0, 0, 0, 0))
    box = (0, 0, framed.width - 1, framed.height - 1)
    # A hairline: without it a white image has no edge on a white page.
    ImageDraw.Draw(framed).rectangle(box, outline=(125, 130, 138, 110))
    framed.paste(picture, (1, 1))
    return framed


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
    if len("    ".join(names)) <= LEGEND_ROW:  # above the axes nothing is hidden
        legend = figure.legend(handles, stand_ins, loc="outside upper left", ncols=len(names), **how)
    else:
        legend = axes.legend(handles, stand_ins, **how)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A folder may be named in any script; a box for a letter the font lacks is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()
