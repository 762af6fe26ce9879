"""The page of an explanation, and its sections for other pages."""

from __future__ import annotations

import io
import math

import numpy as np

from isthmus.api.explanation import EXCITING_IMAGES, Explanation
from isthmus.features.unit_maps import Curves
from isthmus.images.store import Pixels
from isthmus.reports.charts import draw_curves
from isthmus.reports.image_sheets import colour_signed, draw_image_rows
from isthmus.reports.page import Cell, Report
from isthmus.wording import format_count

QUANTILES = "2, 16, 50, 84, 98 %"


def explanation_page(explanation: Explanation) -> Report:
    """One self-contained page."""
    count = format_count(explanation.images, "image")
    page = Report(
        f"{explanation.image}, explained",
        f"{explanation.model}, compared with {count} of {explanation.data}",
    )
    add_maps(page, explanation, "Where units look")
    page.table(
        "Units",
        ["unit", "here", "mean", "deviation", "share not 0"],
        [[str(unit.unit), unit.value, unit.mean, unit.deviation, unit.active] for unit in explanation.units],
        note="The units farthest from their mean for this image.",
    )
    add_decoded_units(page, explanation, "What units decode to")
    page.picture(
        "What excites them",
        draw_image_rows(
            [
                (f"unit {unit.unit}", list(images))
                for unit, images in zip(explanation.units, explanation._exciting, strict=True)
            ],
            columns=EXCITING_IMAGES,
        ),
        f"The images of {explanation.data} with the largest values.",
        "Rows of images",
    )
    if explanation._dictionary is not None:
        page.picture(
            "Dictionary",
            _draw_sheet(explanation._dictionary),
            "What each unit adds, the most used first.",
            "A sheet of small pictures",
        )
    section = "Can the maps be trusted?"
    add_scores(page, explanation, section)
    for name, curves in explanation._curves.items():
        page.picture(section, _draw_curves(curves), f"{name} maps", "A unit's share against pixels changed")
    return page


def add_maps(page: Report, explanation: Explanation, section: str) -> None:
    """Where the units of one image look."""
    page.picture(
        section,
        draw_maps(explanation),
        f"{explanation.image}: orange raises a unit above its value for the mean image, blue lowers it.",
        "The image and one map per unit",
    )


def add_decoded_units(page: Report, explanation: Explanation, section: str) -> None:
    """What these units decode to."""
    page.picture(
        section,
        draw_image_rows(
            [
                (
                    f"unit {_list_units(explanation)}",
                    [colour_signed(image.mean(-1)) for image in explanation.atlas],
                )
            ],
            columns=len(explanation.units),
        ),
        "What changes in the decoded picture from a low to a high value, the other units at rest.",
        "One difference picture per unit",
    )
    page.picture(
        section,
        draw_image_rows(
            [
                (f"unit {unit.unit} at {QUANTILES} of its range", [image.clip(0, 1) for image in row])
                for unit, row in zip(explanation.units, explanation.traversals, strict=True)
            ],
            columns=5,
        ),
        "This image with one unit moved.",
        "Rows of decoded images",
    )


def add_scores(page: Report, explanation: Explanation, section: str) -> None:
    """How far such maps can be trusted."""
    rows: list[list[Cell]] = [
        [name, _with(s.deletion, s.deletion_half_width), _with(s.insertion, s.insertion_half_width)]
        for name, s in explanation.faithfulness.items()
    ]
    page.table(
        section,
        ["map", "deletion", "insertion"],
        rows,
        note="Area gained over random orders when pixels are taken away, or put in, in the map's order; 0 is "
        "a map without information. Means over images, with 95 % intervals.",
    )


def draw_maps(explanation: Explanation, scale: int | None = None) -> bytes:
    """The image and its reconstruction above one map per unit, as a PNG; `scale` as for `draw_image_rows`."""
    images = [explanation._pixels.clip(0, 1), explanation._reconstruction.clip(0, 1)]
    rows = [
        (
            f"{name}: where unit {_list_units(explanation)} looks",
            [colour_signed(unit_map) for unit_map in maps],
        )
        for name, maps in explanation.maps.items()
    ]
    header = [("image, and its reconstruction", images)]
    return draw_image_rows([*header, *rows], columns=max(len(explanation.units), 2), scale=scale)


def _list_units(explanation: Explanation) -> str:
    return ", ".join(str(unit.unit) for unit in explanation.units)


def _with(value: float, half: float | None) -> str:
    return f"{value:.3f}" if half is None else f"{value:.3f} ± {half:.3f}"


def _draw_curves(curves: Curves) -> bytes:
    share = np.linspace(0, 100, len(curves.deletion))
    lines = {
        "taken away, by the map": curves.deletion,
        "taken away, at random": curves.random_deletion,
        "put in, by the map": curves.insertion,
        "put in, at random": curves.random_insertion,
    }
    return draw_curves(
        {name: list(zip(share.tolist(), values.tolist(), strict=True)) for name, values in lines.items()},
        x_label="pixels changed (%)",
        y_label="unit, as a share",
    )


def _draw_sheet(atoms: Pixels) -> bytes:
    """All atoms in one image, each with its own colour scale, a hairline between them."""
    columns = math.ceil(math.sqrt(len(atoms)))
    height, width = (side + 1 for side in atoms.shape[1:3])
    rows = -(-len(atoms) // columns)
    sheet = np.full((rows * height + 1, columns * width + 1, 3), 125, np.uint8)
    for number, atom in enumerate(atoms):
        top, left = number // columns * height + 1, number % columns * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = colour_signed(atom.mean(-1))
    from PIL import Image

    factor = max(1, round(1400 / sheet.shape[1]))
    picture = Image.fromarray(sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, "PNG", dpi=(192, 192))
    return stream.getvalue()
