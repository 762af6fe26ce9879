"""The part of a report that shows all codes at once."""

from __future__ import annotations

from isthmus.evaluation.drawing.map_picture import MAX_SHOWN_IMAGES, map_picture
from isthmus.evaluation.passes import evenly
from isthmus.evaluation.report.page import Report
from isthmus.generation.code_map import MIN_IMAGES, lay_out_codes
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.wording import format_count


def add_map(report: Report, model: Autoencoder, images: ImageSet, section: str) -> None:
    """Images where their codes lie, by t-SNE; nothing where there are too few for a map."""
    if len(images) < MIN_IMAGES:
        return
    shown = evenly(images, MAX_SHOWN_IMAGES)
    labelled = "" if shown.labels is None else "; frames have the colours of classes"
    report.picture(
        section,
        map_picture(lay_out_codes(model, shown).points, shown),
        f"{format_count(len(shown), 'image')} where their codes lie (t-SNE): what is alike to "
        "the model lies together"
        f"{labelled}. No label was looked at. `isthmus map` makes a page of it that zooms.",
        "A plane of small images, those of one kind in one region.",
    )
