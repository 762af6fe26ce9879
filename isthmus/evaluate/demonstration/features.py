"""The demo's section on features: likeness, groups and anomalies, all from the one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isthmus.evaluate.drawing.heat import heat_picture
from isthmus.evaluate.drawing.pictures import before_after
from isthmus.images.store import ImageSet, Pixels
from isthmus.model.reading import read_for
from isthmus.represent.api import anomalies, heat_maps, search
from isthmus.represent.classify import classify
from isthmus.represent.clusters import find_clusters
from isthmus.represent.readout import features, fit_readout

if TYPE_CHECKING:
    from isthmus.evaluate.demonstration.demo import Demo

SECTION = "Features"
MOST = 1500
SHOWN, QUERIES, GROUPS = 8, 3, 10


def add_features(demo: Demo, data: str, test: str) -> None:
    """Search, groups, classes and anomalies on the shipped images; no label was used to train."""
    demo.say("finding alike and unusual images")
    train, images = (_some(read_for(demo.model, one)) for one in (data, test))
    readout = fit_readout(demo.model, train)
    demo.report.text(
        SECTION,
        "The same code says which images are alike. Nobody told the model what is shown: labels only serve "
        "below, to count how often a line drawn through the code, or the nearest images, tell them right.",
    )
    found = search(demo.model, train, images.subset(range(QUERIES)), count=SHOWN, readout=readout)
    strips = []
    for row, matches in enumerate(found.matches):
        title = f"Most like the first image, likeness {matches[0].value:.2f} to {matches[-1].value:.2f}"
        strips.append((title, [images.image(row), *(train.image(match.row) for match in matches)]))
    demo.report.picture(
        SECTION, before_after(strips), "Unseen images, and what is most like them.", "Rows of alike garments."
    )
    demo.numbers["features"] = {}
    if images.labels is not None:
        rows = classify(demo.model, readout, train, images, few=0).rows
        demo.report.table(
            SECTION,
            ["seen as", "numbers", "linear, % right", "5 nearest, % right"],
            [[row.name, row.numbers, *(_percent(share) for share in (row.linear, row.knn))] for row in rows],
            note=f"Learned from {len(train):,} labels, measured on {len(images):,} unseen images.",
        )
        demo.numbers["features"] = {row.name: row.to_dict() for row in rows}
    vectors = features(demo.model, images, readout, compact=True)
    groups = find_clusters(vectors, min(GROUPS, len(images)), space="spectral")
    sheet = [
        (f"{(groups.assigned == i).sum()} images", [images.image(int(row)) for row in typical[:SHOWN]])
        for i, typical in enumerate(groups.typical)
    ]
    demo.report.picture(
        SECTION,
        before_after(sheet),
        "Groups found without labels: the most typical of each.",
        "Rows of images.",
    )
    odd = _with_negative_squares(np.stack([images.image(i) for i in range(SHOWN)]))
    strange = anomalies(demo.model, odd, normal=train, readout=readout, score="reconstruction")
    maps = heat_maps(demo.model, strange, list(range(len(odd))))
    picture = heat_picture(list(odd), maps, strange.images.names)
    demo.report.picture(
        SECTION,
        picture,
        f"In the middle of each a square was turned into its negative; {int(strange.flagged.sum())} of "
        f"{len(odd)} are flagged at one false alarm in a hundred.",
        "Garments, and below where they are unusual.",
    )


def _some(images: ImageSet) -> ImageSet:
    return images.subset(np.linspace(0, len(images) - 1, min(MOST, len(images))).astype(int))


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _with_negative_squares(pixels: Pixels) -> Pixels:
    broken = pixels.copy()
    broken[:, 10:18, 10:18] = np.iinfo(np.uint8).max - pixels[:, 10:18, 10:18]
    return broken
