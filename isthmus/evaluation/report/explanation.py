"""An explanation as pictures and one self-contained page."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

import numpy as np
from torch import Tensor

from isthmus.atomic import write_bytes
from isthmus.evaluation.drawing.pictures import before_after, curves
from isthmus.evaluation.drawing.signed import signed_colours
from isthmus.evaluation.explanation import EXCITING, Explanation
from isthmus.evaluation.report.page import Cell, Report
from isthmus.features.explain.faithfulness import Curves
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet, Pixels
from isthmus.outputs import check_output
from isthmus.wording import format_count


def explanation_pictures(found: Explanation) -> dict[str, bytes]:
    """File name → PNG."""
    picture = _picture(found.image)
    header = [("image, and as the model sees it", [picture, _picture(found.reconstruction)])]
    rows = [
        (f"{name}: where unit {', '.join(map(str, found.chosen))} looks", [signed_colours(m) for m in maps])
        for name, maps in found.maps.items()
    ]
    many = len(found.chosen)
    drawn = {
        "maps.png": before_after([*header, *rows], columns=max(many, 2)),
        "atlas.png": before_after(
            [
                (
                    f"what unit {', '.join(map(str, found.chosen))} paints",
                    [_difference(p) for p in found.atlas],
                )
            ],
            columns=many,
        ),
        "traversals.png": before_after(
            [
                (f"unit {unit} at 2, 16, 50, 84, 98 % of its range", [_picture(p) for p in row])
                for unit, row in zip(found.chosen, found.traversals, strict=True)
            ],
            columns=5,
        ),
        "exciting.png": before_after(
            [
                (f"unit {unit}", [_stored(found.set_images, i) for i in found.units.exciting(unit, EXCITING)])
                for unit in found.chosen
            ],
            columns=EXCITING,
        ),
    }
    for name, one in found.curves.items():
        drawn[f"{name}-curves.png"] = _curves(one)
    if found.dictionary is not None:
        drawn["dictionary.png"] = _sheet(found.dictionary)
    return drawn


def explanation_page(found: Explanation, drawn: dict[str, bytes], *, model: str) -> Report:
    """One self-contained page."""
    page = Report(
        f"{found.name}, explained",
        f"{model}, compared with {format_count(len(found.set_images), 'image')} of {found.source}",
    )
    add_maps(page, found, drawn, "Where units look")
    numbers = (found.units.mean, found.units.deviation, found.units.active)
    page.table(
        "Units",
        ["unit", "here", "mean", "deviation", "share not 0"],
        [[str(u), float(found.values[u]), *(float(of[u]) for of in numbers)] for u in found.chosen],
        note="The units farthest from their mean for this image.",
    )
    add_paintings(page, drawn, "What units paint")
    page.picture(
        "What excites them",
        drawn["exciting.png"],
        f"The images of {found.source} with the largest values.",
        "Rows of images",
    )
    if "dictionary.png" in drawn:
        page.picture(
            "Dictionary",
            drawn["dictionary.png"],
            "What each unit adds, the most used first.",
            "A sheet of small pictures",
        )
    add_scores(page, found, "Can the maps be believed?")
    for name in found.curves:
        page.picture(
            "Can the maps be believed?",
            drawn[f"{name}-curves.png"],
            f"{name} maps",
            "A unit's share against pixels changed",
        )
    return page


def add_maps(page: Report, found: Explanation, drawn: dict[str, bytes], section: str) -> None:
    """Where the units of one image look."""
    page.picture(
        section,
        drawn["maps.png"],
        f"{found.name}: orange raises a unit above its value for the mean image, blue lowers it.",
        "The image and one map per unit",
    )


def add_paintings(page: Report, drawn: dict[str, bytes], section: str) -> None:
    """What these units paint."""
    page.picture(
        section,
        drawn["atlas.png"],
        "What changes in the decoded picture from a low to a high value, the other units at rest.",
        "One difference picture per unit",
    )
    page.picture(
        section, drawn["traversals.png"], "This image with one unit moved.", "Rows of decoded images"
    )


def add_scores(page: Report, found: Explanation, section: str) -> None:
    """How far such maps can be believed."""
    rows: list[list[Cell]] = [
        [name, _with(s.deletion, s.deletion_half_width), _with(s.insertion, s.insertion_half_width)]
        for name, s in found.scores.items()
    ]
    page.table(
        section,
        ["map", "deletion", "insertion"],
        rows,
        note="Area gained over random orders when pixels are taken away, or put in, in the map's order; 0 is "
        "a map that knows nothing. Means over images, with 95 % intervals.",
    )


def write_explanation(
    found: Explanation, folder: str | os.PathLike[str], *, model: str, force: bool = False
) -> Path:
    """Write the page `explanation.html` and its pictures; gives the page's path.

    Raises:
        OutputError: the page exists and `force` is off, or cannot be written.
    """
    page = Path(folder) / "explanation.html"
    check_output(page, force=force)
    drawn = explanation_pictures(found)
    for name, png in drawn.items():
        write_bytes(Path(folder) / name, png)
    explanation_page(found, drawn, model=model).write(page)
    return page


def _with(value: float, half: float | None) -> str:
    return f"{value:.3f}" if half is None else f"{value:.3f} ± {half:.3f}"


def _picture(image: Tensor) -> Pixels:
    return np.asarray(image.detach().clamp(0, 1).permute(1, 2, 0).numpy())


def _difference(painted: Tensor) -> Pixels:
    return signed_colours(painted.mean(0))


def _stored(images: ImageSet, index: int) -> Pixels:
    return _picture(to_batch(images.image(index))[0][0])


def _curves(one: Curves) -> bytes:
    share = np.linspace(0, 100, len(one.deletion))
    lines = {
        "taken away, by the map": one.deletion,
        "taken away, at random": one.random_deletion,
        "put in, by the map": one.insertion,
        "put in, at random": one.random_insertion,
    }
    return curves(
        {name: list(zip(share.tolist(), values.tolist(), strict=True)) for name, values in lines.items()},
        x_label="pixels changed (%)",
        y_label="unit, as a share",
    )


def _sheet(atoms: Tensor) -> bytes:
    """All atoms in one image, each with its own colour scale, a hairline between them."""
    columns = math.ceil(math.sqrt(len(atoms)))
    height, width = (side + 1 for side in atoms.shape[-2:])
    rows = -(-len(atoms) // columns)
    sheet = np.full((rows * height + 1, columns * width + 1, 3), 125, np.uint8)
    for number, atom in enumerate(atoms):
        top, left = number // columns * height + 1, number % columns * width + 1
        sheet[top : top + height - 1, left : left + width - 1] = _difference(atom)
    from PIL import Image

    factor = max(1, round(1400 / sheet.shape[1]))
    picture = Image.fromarray(sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, "PNG", dpi=(192, 192))
    return stream.getvalue()
