"""The features of a model on a page: what is alike, groups, classes, and what is unusual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.evaluation.drawing.heat import heat_picture
from isthmus.evaluation.drawing.pictures import before_after
from isthmus.evaluation.passes import evenly
from isthmus.evaluation.report.page import Report
from isthmus.features.api import Anomalies, Match, anomalies, heat_maps, search
from isthmus.features.classify import ProbeScores, classify
from isthmus.features.clusters import find_clusters
from isthmus.features.readout import Readout, features, fit_readout, stored
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.wording import format_count

SECTION = "Features"
SHOWN, QUERIES, GROUPS = 8, 3, 10
MOST = 500  # images looked at
LEAST = 30  # fewer have no neighbourhoods to speak of


def add_features(report: Report, model: Autoencoder, images: ImageSet) -> None:
    """All of it for a set of images, each seen beside the others; nothing for fewer than 30."""
    some = evenly(images, MOST)
    if len(some) < LEAST:
        return
    readout = stored(model) or fit_readout(model, some)
    report.text(
        SECTION,
        f"{len(some):,} of these images, by features that know no labels, read from the model's layer "
        f"'{readout.reading.layer}'. Search, cluster, classify and anomalies do this for others.",
    )
    rows = np.linspace(0, len(some) - 1, QUERIES).round().astype(int)
    add_alike(report, model, some, some.subset(rows), readout, known=rows.tolist())
    # At random: of classes that take turns, every other image is of one class.
    mixed = np.random.default_rng(0).permutation(len(some))
    halves = [some.subset(np.sort(mixed[start::2])) for start in (0, 1)]
    if halves[0].labels is not None and len(np.unique(halves[0].labels)) > 1:
        add_classes(report, model, halves[0], halves[1], readout)
    add_groups(report, model, some, readout)
    found = anomalies(model, some, normal=some, readout=readout)
    add_unusual(
        report,
        model,
        found,
        found.worst(SHOWN),
        f"The most unusual of them, by their {found.detector.kind}; below, where they are.",
    )


def add_alike(
    report: Report,
    model: Autoencoder,
    images: ImageSet,
    queries: ImageSet,
    readout: Readout,
    *,
    known: Sequence[int | None] | None = None,
) -> None:
    """Each query with the images that are most like it.

    Args:
        known: the row that each query has in `images`, where it is one of them: it is not its own match.
    """
    own = known or [None] * len(queries)
    found = search(model, images, queries, count=SHOWN + 1, readout=readout)
    strips = []
    for query, matches in enumerate(found):
        others: list[Match] = [match for match in matches if match.row != own[query]][:SHOWN]
        title = f"Most like the first image, likeness {others[0].value:.2f} to {others[-1].value:.2f}"
        strips.append((title, [queries.image(query), *(images.image(match.row) for match in others)]))
    report.picture(
        SECTION, before_after(strips), "Images, and what is most like them.", "Rows of alike images."
    )


def add_classes(
    report: Report, model: Autoencoder, train: ImageSet, test: ImageSet, readout: Readout
) -> tuple[ProbeScores, ...]:
    """How well labels that were not trained on can be read off, beside pixels and principal components."""
    rows = classify(model, readout, train, test, few=0).rows
    report.table(
        SECTION,
        ["seen as", "numbers", "linear, % right", "5 nearest, % right"],
        [[row.name, row.numbers, *(_percent(share) for share in (row.linear, row.knn))] for row in rows],
        note=f"Learned from {format_count(len(train), 'label')}, measured on "
        f"{format_count(len(test), 'other image')}.",
    )
    return rows


def add_groups(report: Report, model: Autoencoder, images: ImageSet, readout: Readout) -> None:
    """Groups and their most typical images."""
    vectors = features(model, images, readout, compact=True)
    groups = find_clusters(vectors, min(GROUPS, len(images)), space="spectral")
    sheet: list[tuple[str, Any]] = [
        (f"{(groups.assigned == i).sum()} images", [images.image(int(row)) for row in typical[:SHOWN]])
        for i, typical in enumerate(groups.typical)
    ]
    report.picture(
        SECTION,
        before_after(sheet),
        "Groups found without labels: the most typical of each.",
        "Rows of images.",
    )


def add_unusual(
    report: Report, model: Autoencoder, found: Anomalies, rows: Sequence[int], caption: str
) -> None:
    """Images above their heat maps."""
    shown = [found.images.image(row) for row in rows]
    names = [found.images.names[row] for row in rows]
    picture = heat_picture(shown, heat_maps(model, found, list(rows)), names)
    report.picture(SECTION, picture, caption, "Images, and below where they are unusual.")


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
