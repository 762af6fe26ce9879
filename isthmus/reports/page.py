"""One self-contained HTML file: text, tables, facts and pictures in sections; nothing is fetched to show it.

report = Report("Fashion-MNIST, conv, code 64", subtitle="10,000 test images")
report.facts("Result", {"PSNR": 24.1, "SSIM": 0.91})
report.picture("Result", png, caption="Originals and reconstructions.", alt="Two rows of ten garments.")
report.write("report.html")
"""

from __future__ import annotations

import base64
import io
import math
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.atomic import write_text
from isthmus.errors import DataError
from isthmus.escaping import fill, for_html, for_script
from isthmus.images.bands import visible_bands
from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.version import __version__

Cell = object

"""Text, a number, a bool or None; anything else is shown as text."""

# No script, no font, no request: even a caption that slipped through escaping could load nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Report:
    """Collects what is to be shown; sections appear in the order in which they are first named."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self._sections: dict[str, list[str]] = {}

    def text(self, section: str, paragraph: str) -> None:
        """Plain text; an empty line starts a new paragraph. Nothing in it is read as HTML."""
        for part in paragraph.split("\n\n"):
            if part.strip():
                self._add(section, f"<p>{for_html(part.strip())}</p>")

    def table(
        self, section: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, note: str | None = None
    ) -> None:
        """A table; the first column names its rows.

        Numbers are right-aligned, floats to four significant digits (give a string for any other form), and
        None, or what is not a number, is a dash.

        Raises:
            DataError: a row has not as many cells as there are columns.
        """
        for row in rows:
            if len(row) != len(columns):
                raise DataError(
                    "table '{section}': a row of {cells} cells under {columns} columns",
                    id="report.cells",
                    section=section,
                    cells=len(row),
                    columns=len(columns),
                )
        numeric = [_numeric([row[index] for row in rows]) for index in range(len(columns))]
        head = "".join(
            f'<th scope="col"{_alignment(right)}>{for_html(name)}</th>'
            for name, right in zip(columns, numeric, strict=True)
        )
        body = "".join(f"<tr>{_row(row, numeric)}</tr>" for row in rows)
        label = for_html(f"Table: {section}")
        # Focusable, so that a wide table can be scrolled with the keyboard too.
        self._add(
            section,
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        )
        if note:
            self._add(section, f'<p class="note">{for_html(note)}</p>')

    def picture(self, section: str, png: bytes, caption: str, alt: str) -> None:
        """A PNG, shown at the size of its resolution (192 dpi: half its pixels), at most page-wide.

        Args:
            section: where it belongs.
            png: the file's bytes; they are embedded.
            caption: shown below.
            alt: describes the picture to those who cannot see it.

        Raises:
            DataError: the bytes are not a PNG.
        """
        width, height = _shown_size(png)
        data = base64.b64encode(png).decode()
        self._add(
            section,
            f'<figure><div><img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
            f'alt="{for_html(alt)}"></div><figcaption>{for_html(caption)}</figcaption></figure>',
        )

    def code(self, section: str, lines: str) -> None:
        """Commands or program text, set as it stands."""
        self._add(section, f'<pre class="scroll" tabindex="0">{for_html(lines.strip())}</pre>')

    def facts(self, section: str, facts: Mapping[str, Cell]) -> None:
        """Short names with one value each, set as a grid; values are written as in `table`."""
        items = "".join(
            f"<div><dt>{for_html(name)}</dt><dd>{for_html(_format_value(value))}</dd></div>"
            for name, value in facts.items()
        )
        self._add(section, f"<dl>{items}</dl>")

    def html(self) -> str:
        """The whole page."""
        anchors = {name: f"s{number}" for number, name in enumerate(self._sections, 1)}
        links = "".join(f'<li><a href="#{anchors[name]}">{for_html(name)}</a></li>' for name in anchors)
        contents = f'<nav aria-label="Contents"><ol>{links}</ol></nav>' if len(anchors) > 1 else ""
        subtitle = f'<p class="subtitle">{for_html(self.subtitle)}</p>' if self.subtitle else ""
        sections = "\n".join(
            f'<section id="{anchors[name]}"><h2>{for_html(name)}</h2>\n' + "\n".join(blocks) + "</section>"
            for name, blocks in self._sections.items()
        )
        style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{for_html(self.title)}</title>
<style>
{style}</style>
</head>
<body>
<div class="frame">
<header><h1>{for_html(self.title)}</h1>{subtitle}</header>
{contents}
<main>
{sections}
</main>
<footer>Isthmus {for_html(__version__)}</footer>
</div>
</body>
</html>
"""

    def write(self, path: str | os.PathLike[str], *, force: bool = True) -> None:
        """Write the page, whole or not at all.

        Raises:
            OutputError: it cannot be written, or exists and `force` is off.
        """
        write_text(path, self.html(), force=force)

    def _add(self, section: str, block: str) -> None:
        self._sections.setdefault(section, []).append(block)


def _numeric(cells: Sequence[Cell]) -> bool:
    filled_cells = [cell for cell in cells if cell is not None]
    return bool(filled_cells) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) for cell in filled_cells
    )


def _alignment(right: bool) -> str:
    return ' class="number"' if right else ""


def _row(row: Sequence[Cell], numeric: Sequence[bool]) -> str:
    cells = []
    for index, (cell, right) in enumerate(zip(row, numeric, strict=True)):
        tag, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
        cells.append(f"<{tag}{scope}{_alignment(right)}>{for_html(_format_value(cell))}</{tag}>")
    return "".join(cells)


def _format_value(value: Cell) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        # '#' keeps trailing zeros, so that the digits of a column stand for the same precision.
        text = f"{value:,.0f}" if 9999.5 <= abs(value) < 1e12 else f"{value:#.4g}".removesuffix(".")
        return text.replace("-", "−")
    return f"{value:,}".replace("-", "−") if isinstance(value, int) else str(value)


def _shown_size(png: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels (1/96 inch), from the header and, where it has one, the pHYs chunk."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 33:
        raise DataError("a picture in a report must be a PNG file", id="report.not-png")
    width, height = struct.unpack(">II", png[16:24])
    scale = 1.0
    at = png.find(b"pHYs", 33, png.find(b"IDAT", 33) + 1)
    if at > 0:
        per_metre, _, unit = struct.unpack(">IIB", png[at + 4 : at + 13])
        scale = 96 / (per_metre * 0.0254) if unit == 1 and per_metre > 0 else 1.0
    return max(1, round(width * scale)), max(1, round(height * scale))


THUMBNAIL_SIDE_PX = 28


def code_map_page(
    points: npt.NDArray[np.float32],
    images: Iterable[npt.NDArray[Any]],
    names: Sequence[str],
    *,
    labels: npt.NDArray[np.int64] | None,
    classes: Sequence[str],
    title: str,
    note: str,
) -> str:
    """The whole page: thumbnails as one embedded sheet, points and names as JSON, its own script.

    Args:
        points: `(N, 2)` in [0, 1], up is up.
        images: `(H, W, C)` each, in their order.
        labels: `(N,)` indices into `classes`, or None.
    """
    side = THUMBNAIL_SIDE_PX
    columns = math.ceil(math.sqrt(len(points)))
    sheet = np.zeros((math.ceil(len(points) / columns) * side, columns * side, 3), np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        small = to_dtype(fit(to_channels(visible_bands(image), 3), (side, side)), np.uint8)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = small
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "WEBP", quality=80)
    data = {
        "places": [[round(float(x), 4), round(float(y), 4)] for x, y in points],
        "names": list(names),
        "labels": None if labels is None else labels.tolist(),
        "classes": list(classes),
        "side": side,
        "columns": columns,
        "sheet": "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode(),
    }
    page = files(__package__).joinpath("code_map.html").read_text(encoding="utf-8")
    words = {"TITLE": for_html(title), "NOTE": for_html(note), "VERSION": for_html(__version__)}
    return fill(page, {**words, "DATA": for_script(data)})
