"""The part of a report that shows all codes at once."""

from __future__ import annotations

from isthmus.evaluation.drawing.map_picture import map_picture
from isthmus.evaluation.report.page import Report
from isthmus.generation.code_map import LEAST, code_map
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.wording import format_count

MAPPED = 300  # images on the picture: more would hide one another


def add_map(report: Report, model: Autoencoder, images: ImageSet, section: str) -> None:
    """Images where their codes lie, by t-SNE; nothing where there are too few for a map."""
    if len(images) < LEAST:
        return
    shown = code_map(model, images, limit=MAPPED)
    labelled = "" if shown.images.labels is None else "; frames have the colours of classes"
    report.picture(
        section,
        map_picture(shown),
        f"{format_count(len(shown.images), 'image')} where their codes lie (t-SNE): what is alike to "
        "the model lies together"
        f"{labelled}. No label was looked at. `isthmus map` makes a page of it that zooms.",
        "A plane of small images, those of one kind in one region.",
    )
