"""The demo's section on features: likeness, groups and anomalies, all from the one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isthmus.evaluation.passes import evenly
from isthmus.evaluation.report.features import (
    QUERIES,
    SECTION,
    SHOWN,
    add_alike,
    add_classes,
    add_groups,
    add_unusual,
)
from isthmus.features.api import anomalies
from isthmus.features.readout import fit_readout
from isthmus.images.store import Pixels
from isthmus.model.reading import read_for

if TYPE_CHECKING:
    from isthmus.evaluation.demonstration.demo import Demo

MOST = 1500


def add_features(demo: Demo, data: str, test: str) -> None:
    """Search, groups, classes and anomalies on the shipped images; no label was used to train."""
    demo.say("finding alike and unusual images")
    report, model = demo.report, demo.model
    train, images = (evenly(read_for(model, one), MOST) for one in (data, test))
    readout = fit_readout(model, train)
    report.text(
        SECTION,
        "The same code says which images are alike. Nobody told the model what is shown: labels only serve "
        "below, to count how often a line drawn through the code, or the nearest images, tell them right.",
    )
    add_alike(report, model, train, images.subset(range(QUERIES)), readout)
    demo.numbers["features"] = {}
    if images.labels is not None:
        rows = add_classes(report, model, train, images, readout)
        demo.numbers["features"] = {row.name: row.to_dict() for row in rows}
    add_groups(report, model, images, readout)
    odd = _with_negative_squares(np.stack([images.image(i) for i in range(SHOWN)]))
    strange = anomalies(model, read_for(model, odd), normal=train, readout=readout, score="reconstruction")
    add_unusual(
        report,
        model,
        strange,
        range(len(odd)),
        f"In the middle of each a square was turned into its negative; {int(strange.flagged.sum())} of "
        f"{len(odd)} are flagged at one false alarm in a hundred.",
    )


def _with_negative_squares(pixels: Pixels) -> Pixels:
    broken = pixels.copy()
    broken[:, 10:18, 10:18] = np.iinfo(np.uint8).max - pixels[:, 10:18, 10:18]
    return broken
