"""`isthmus.explain`: one image and its code, unit by unit, as numbers, pictures and one page."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.atomic import write_bytes
from isthmus.errors import DataError, OutputError
from isthmus.evaluate.passes import evenly
from isthmus.evaluate.pictures import before_after, curves
from isthmus.evaluate.report import Cell, Report
from isthmus.evaluate.signed import signed_colours
from isthmus.evaluate.training_data import read_for, training_images
from isthmus.images.edge import to_batch
from isthmus.images.store import ImageSet, Pixels
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder
from isthmus.represent.explain.faithfulness import Curves, Maps, faithfulness
from isthmus.represent.explain.maps import gradient_maps, occlusion_maps
from isthmus.represent.explain.paintings import atlas, traversals
from isthmus.represent.explain.units import SPARSE, Units, observe_units, per_unit

SCHEMA = "isthmus.explain/1"
SET_IMAGES = 5000  # looked at for what is usual
FAITHFUL_IMAGES = 16
EXCITING = 9
DICTIONARY = 256
KINDS: dict[str, Maps] = {"gradient": gradient_maps, "occlusion": occlusion_maps}

Listener = Callable[[float], None]


@dataclass(frozen=True)
class Score:
    """Mean gain over random orders, and half the width of its 95 % interval; see `faithfulness`."""

    deletion: float
    deletion_half_width: float | None
    insertion: float
    insertion_half_width: float | None


@dataclass(frozen=True)
class Explanation:
    """What was found for one image.

    Attributes:
        image: `(C, H, W)`, at the size that the encoder sees; reconstruction: the same.
        name, source: of the image, and of the set that its units are compared with.
        chosen: units, farthest from their mean first; values: `(K,)` of all units.
        units: how each behaves over the set; set_images: that set.
        maps: kind → `(len(chosen), H, W)`.
        scores: kind → how far such maps can be believed; curves: kind → mean curves.
        atlas, traversals: see `paintings`; dictionary: `(n, C, H, W)` of a sparse code, else None.
    """

    name: str
    source: str
    image: Tensor
    reconstruction: Tensor
    chosen: list[int]
    values: Tensor
    units: Units
    set_images: ImageSet
    maps: dict[str, Tensor]
    scores: dict[str, Score]
    curves: dict[str, Curves]
    atlas: Tensor
    traversals: Tensor
    dictionary: Tensor | None

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.explain/1"."""
        return {
            "schema": SCHEMA,
            "image": self.name,
            "data": self.source,
            "images": len(self.set_images),
            "units": [
                {
                    "unit": unit,
                    "value": float(self.values[unit]),
                    "mean": float(self.units.mean[unit]),
                    "deviation": float(self.units.deviation[unit]),
                    "active": float(self.units.active[unit]),
                    "exciting": [self.set_images.names[i] for i in self.units.exciting(unit, EXCITING)],
                }
                for unit in self.chosen
            ],
            "faithfulness": {name: vars(score) for name, score in self.scores.items()},
        }


def explain(
    model: Autoencoder,
    image: Any,
    *,
    data: Any = None,
    units: int | Sequence[int] = 8,
    believed: int = FAITHFUL_IMAGES,
    seed: int = 0,
    listener: Listener = lambda _: None,
) -> Explanation:
    """Explain the code of one image.

    Args:
        image: what `isthmus.read` takes; of several images the first.
        data: images that say what is usual; by default the training images, where they are found.
        units: how many units, or which ones.
        believed: how many images of the set the maps are put to the test on; 0 leaves the test out.
        seed: of the random orders that maps are compared with.
        listener: called with the share that is done.

    Raises:
        CapabilityError: the model's code does not hold the image.
        DataError: no such images; `data` is not given and the training images are not found; or a unit that
            the code does not have.
    """
    capabilities.check_use(model.recipe, "decode")
    one = read_for(model, image)
    known = read_for(model, data) if data is not None else training_images(model)[0]
    if known is None:
        raise DataError(
            "the training images were not found, and units are compared with what is usual",
            hint="add --data DATA",
        )
    some = evenly(known, SET_IMAGES)
    usual = observe_units(model, some)
    listener(0.2)
    seen = _seen(model, one, 0)
    code = model.encode_batch(seen[None]).detach()
    values = per_unit(code)[0]
    chosen = _chosen(units, usual, values)
    base = _base(usual, seen)
    maps = {name: make(model, seen, base, chosen) for name, make in KINDS.items()}
    listener(0.3)
    scores, means = _believed(
        model, evenly(some, believed) if believed else some.subset([]), usual, len(chosen), seed, listener
    )
    dictionary = None
    if isinstance(model.recipe.bottleneck, SPARSE):
        often = torch.argsort(usual.active, descending=True, stable=True)
        alive = [int(unit) for unit in often[:DICTIONARY] if usual.active[unit] > 0]
        dictionary = atlas(model, usual, alive) if alive else None
    painted = atlas(model, usual, chosen)
    listener(1.0)
    return Explanation(
        name=one.names[0],
        source=some.source,
        image=seen,
        reconstruction=model.reconstruct_batch(seen[None])[0],
        chosen=chosen,
        values=values,
        units=usual,
        set_images=some,
        maps=maps,
        scores=scores,
        curves=means,
        atlas=painted,
        traversals=traversals(model, code[0], usual, chosen),
        dictionary=dictionary,
    )


def _seen(model: Autoencoder, images: ImageSet, index: int) -> Tensor:
    """`(C, H, W)`, on the canvas of a vector code."""
    batch, _ = to_batch(images.image(index))
    return model.to_canvas(batch)[0]


def _base(usual: Units, seen: Tensor) -> Tensor:
    if usual.image.shape == seen.shape:
        return usual.image
    resized = torch.nn.functional.interpolate(
        usual.image[None], seen.shape[-2:], mode="bilinear", antialias=True
    )
    return resized[0]


def _chosen(units: int | Sequence[int], usual: Units, values: Tensor) -> list[int]:
    if isinstance(units, int):
        return usual.telling(values, units)
    for unit in units:
        if not 0 <= unit < len(values):
            raise DataError(f"this code has units 0 to {len(values) - 1}, not {unit}")
    return list(units)


def _believed(
    model: Autoencoder, images: ImageSet, usual: Units, count: int, seed: int, listener: Listener
) -> tuple[dict[str, Score], dict[str, Curves]]:
    """Scores and mean curves over some images of the set, each with its own most telling units."""
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
    found: dict[str, list[Curves]] = {name: [] for name in KINDS}
    for index in range(len(images)):
        seen = _seen(model, images, index)
        base = _base(usual, seen)
        chosen = usual.telling(per_unit(model.encode_batch(seen[None]).detach())[0], count)
        for name, make in KINDS.items():
            generator = torch.Generator().manual_seed(seed + index)
            per_image = faithfulness(
                model, seen, base, make(model, seen, base, chosen), chosen, generator=generator
            )
            if per_image:
                deletions, insertions = zip(*(one.scores for one in per_image), strict=True)
                gains[name].append((statistics.fmean(deletions), statistics.fmean(insertions)))
                found[name] += per_image
        listener(0.3 + 0.6 * (index + 1) / len(images))
    scores = {name: _score(pairs) for name, pairs in gains.items() if pairs}
    return scores, {name: _mean(list_of) for name, list_of in found.items() if list_of}


def _score(pairs: list[tuple[float, float]]) -> Score:
    deletions, insertions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Score(
        statistics.fmean(deletions), _half(deletions), statistics.fmean(insertions), _half(insertions)
    )


def _half(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def _mean(found: list[Curves]) -> Curves:
    names = ("deletion", "insertion", "random_deletion", "random_insertion")
    return Curves(*(torch.stack([getattr(one, name) for one in found]).mean(0) for name in names))


# ---------------------------------------------------------------- pictures and page


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
        f"{model}, compared with {len(found.set_images):,} images of {found.source}",
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
    if page.exists() and not force:
        raise OutputError(f"{page} exists; nothing was overwritten", hint="repeat the command with --force")
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
    import io

    from PIL import Image

    factor = max(1, round(1400 / sheet.shape[1]))
    picture = Image.fromarray(sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, "PNG", dpi=(192, 192))
    return stream.getvalue()
