"""Sections that several pages share: what features find, the map of codes, new images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.api.detector_fitting import DEFAULT_FALSE_ALARMS, DEFAULT_SCORE
from isthmus.evaluation.generation import Generation
from isthmus.features.anomalies import Detector, fit_detector, score, score_maps
from isthmus.features.classification import ProbeScores, classify
from isthmus.features.clustering import find_clusters
from isthmus.features.readout import FeatureExtractor, extract_features, fit_extractor, read_extractor
from isthmus.generation.code_map import MIN_IMAGES, lay_out_codes
from isthmus.images.store import ImageSet
from isthmus.images.subsets import even_rows, sample_evenly
from isthmus.model.autoencoder import Autoencoder
from isthmus.reports.image_sheets import draw_heat_maps, draw_image_rows, draw_map
from isthmus.reports.page import Report
from isthmus.wording import format_count

FEATURES = "Features"
GENERATION = "New images"
MAX_SHOWN_IMAGES, MAX_QUERIES, MAX_GROUPS = 8, 3, 10
MAX_FEATURE_IMAGES = 500
MIN_FEATURE_IMAGES = 30  # fewer images have no meaningful neighbourhoods
MAX_MAP_IMAGES = 300  # more would hide one another
COLUMNS, ROWS = 10, 3


def add_features(report: Report, model: Autoencoder, images: ImageSet) -> None:
    """All sections that compare the images of a set with each other; none for fewer than 30 images."""
    some = sample_evenly(images, MAX_FEATURE_IMAGES)
    if len(some) < MIN_FEATURE_IMAGES:
        return
    readout = read_extractor(model) or fit_extractor(model, some)
    report.text(
        FEATURES,
        f"{len(some):,} of these images, by features that know no labels, read from the model's layer "
        f"'{readout.reading.layer}'. Search, cluster, classify and anomalies do this for others.",
    )
    rows = even_rows(len(some), MAX_QUERIES)
    add_alike(report, model, some, some.subset(rows), readout, own_rows=rows.tolist())
    # At random: of classes that take turns, every other image is of one class.
    mixed = np.random.default_rng(0).permutation(len(some))
    halves = [some.subset(np.sort(mixed[start::2])) for start in (0, 1)]
    if halves[0].labels is not None and len(np.unique(halves[0].labels)) > 1:
        add_classes(report, model, halves[0], halves[1], readout)
    add_groups(report, model, some, readout)
    detector = fit_detector(model, readout, some, DEFAULT_SCORE, false_alarms=DEFAULT_FALSE_ALARMS)
    worst = (-score(model, readout, detector, some)).argsort(kind="stable")[:MAX_SHOWN_IMAGES]
    caption = f"The most unusual of them, by their {detector.kind}; below, where they are."
    add_unusual(report, model, readout, detector, some.subset(worst), caption)


def add_alike(
    report: Report,
    model: Autoencoder,
    images: ImageSet,
    queries: ImageSet,
    readout: FeatureExtractor,
    *,
    own_rows: Sequence[int | None] | None = None,
) -> None:
    """Each query with the images that are most like it.

    Args:
        known: the row that each query has in `images`, where it is one of them: it is not its own match.
    """
    rows_to_skip = own_rows or [None] * len(queries)
    vectors, query_vectors = (
        extract_features(model, image_set, readout, compact=True) for image_set in (images, queries)
    )
    likeness = query_vectors @ vectors.T  # cosines: compact features have length 1
    strips = []
    for query, values in enumerate(likeness):
        order = [int(row) for row in (-values).argsort(kind="stable") if row != rows_to_skip[query]][
            :MAX_SHOWN_IMAGES
        ]
        title = f"Most like the first image, likeness {values[order[0]]:.2f} to {values[order[-1]]:.2f}"
        strips.append((title, [queries.image(query), *(images.image(row) for row in order)]))
    report.picture(
        FEATURES, draw_image_rows(strips), "Images, and what is most like them.", "Rows of alike images."
    )


def add_classes(
    report: Report, model: Autoencoder, train: ImageSet, test: ImageSet, readout: FeatureExtractor
) -> tuple[ProbeScores, ...]:
    """How well unseen labels are predicted, compared with pixels and principal components."""
    rows = classify(model, readout, train, test, few=0).rows
    report.table(
        FEATURES,
        ["seen as", "numbers", "linear, % right", "5 nearest, % right"],
        [[row.name, row.numbers, *(_percent(share) for share in (row.linear, row.knn))] for row in rows],
        note=f"Learned from {format_count(len(train), 'label')}, measured on "
        f"{format_count(len(test), 'other image')}.",
    )
    return rows


def add_groups(report: Report, model: Autoencoder, images: ImageSet, readout: FeatureExtractor) -> None:
    """Groups and their most typical images."""
    vectors = extract_features(model, images, readout, compact=True)
    groups = find_clusters(vectors, min(MAX_GROUPS, len(images)), space="spectral")
    sheet: list[tuple[str, Any]] = [
        (
            f"{(groups.assigned == i).sum()} images",
            [images.image(int(row)) for row in typical[:MAX_SHOWN_IMAGES]],
        )
        for i, typical in enumerate(groups.typical)
    ]
    report.picture(
        FEATURES,
        draw_image_rows(sheet),
        "Groups found without labels: the most typical of each.",
        "Rows of images.",
    )


def add_unusual(
    report: Report,
    model: Autoencoder,
    readout: FeatureExtractor,
    detector: Detector,
    images: ImageSet,
    caption: str,
) -> None:
    """Images, most unusual first, above their heat maps."""
    pictures = [images.image(row) for row in range(len(images))]
    picture = draw_heat_maps(pictures, score_maps(model, readout, detector, images), images.names)
    report.picture(FEATURES, picture, caption, "Images, and below where they are unusual.")


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def add_map(report: Report, model: Autoencoder, images: ImageSet, section: str) -> None:
    """Images at the places of their codes, by t-SNE; nothing where there are too few for a map."""
    if len(images) < MIN_IMAGES:
        return
    map_images = sample_evenly(images, MAX_MAP_IMAGES)
    labelled = "" if map_images.labels is None else "; frames have the colours of classes"
    report.picture(
        section,
        draw_map(lay_out_codes(model, map_images).points, map_images),
        f"{format_count(len(map_images), 'image')} where their codes lie (t-SNE): what is alike to "
        "the model lies together"
        f"{labelled}. No label was looked at. `isthmus map` makes a page of it that zooms.",
        "A plane of small images, those of one kind in one region.",
    )


def add_generation(report: Report, generation: Generation) -> None:
    """Samples, the table with real images, and the samples that are nearest to a training image."""
    strips = [generation.samples[start : start + COLUMNS] for start in range(0, COLUMNS * ROWS, COLUMNS)]
    titles = [f"drawn with seed {generation.seed}", *("",) * (ROWS - 1)]
    report.picture(
        GENERATION,
        draw_image_rows(
            [(title, strip) for title, strip in zip(titles, strips, strict=True) if len(strip)],
            columns=COLUMNS,
        ),
        "New images: codes drawn from the prior and decoded; none was chosen or left out.",
        "Rows of generated images.",
    )
    header, table = generation.table()
    report.table(
        GENERATION,
        header,
        table,
        note=f"{generation.images:,} images of each kind against as many test images, in the features of "
        f"{_describe_features(generation)}. FD and energy: lower is better; 1-NN: ½ is best; "
        "relative FD: 0 at real training images, 1 at one Gaussian of the pixels; "
        "detail: 1 is as sharp as real images; "
        "copied: share nearer to a training image than all but 5 % of unseen images.",
    )
    memory, pairs = generation.memory, generation.memory.pairs
    report.picture(
        GENERATION,
        draw_image_rows(
            [("new images …", pairs[:, 0]), ("… and the nearest training image of each", pairs[:, 1])]
        ),
        f"The {len(pairs)} of {memory.images:,} new images that lie nearest to a training image. The median "
        f"distance is {memory.ratio:.3g} times that of unseen real images; {memory.copied:.1%} are nearer "
        "than all but 5 % of those.",
        "Two rows of images: new ones and their nearest training images.",
    )


def _describe_features(generation: Generation) -> str:
    facts = generation.features
    kind = "classifier of" if facts["kind"] == "classifier" else "self-supervised network of"
    right = f"{facts['test_accuracy']:.2%} right on test images"
    return f"a {kind} {facts['data']} ({right}, hash {facts['hash']})"
