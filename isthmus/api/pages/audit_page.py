"""The audit as one HTML page, with pictures of the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.api.data_audit import Audit
from isthmus.evaluation.audit.duplicates import Pair
from isthmus.images.store import Pixels
from isthmus.reports.charts import draw_bars
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Report
from isthmus.wording import format_count

MAX_SHOWN_ITEMS = 40
COLUMNS = 10


def audit_page(audit: Audit) -> Report:
    """Sections for the findings; the first also lists what was looked for and not found."""
    page = Report(f"Audit of {audit.data}", format_count(audit.images, "image"))
    page.facts("Result", {str(name): value for name, value in audit.rows()[1]})
    for remark in audit.summary().splitlines():
        page.text("Result", remark)
    pairs = audit._duplicates
    pictures = _read_pictures(audit)
    _pairs(page, pictures, "Exact copies", pairs.exact, "Above the first, below its copy.")
    _pairs(
        page,
        pictures,
        "Near duplicates",
        pairs.near,
        "Pairs that a crop, a mirror, JPEG or a change of brightness explains; the least doubtful first.",
    )
    if pairs.near:
        rows = [
            [audit._names[p.first], audit._names[p.second], p.error, "yes" if p.mirrored else "no"]
            for p in pairs.near[:MAX_SHOWN_ITEMS]
        ]
        page.table("Near duplicates", ["first", "second", "left after aligning", "mirrored"], rows)
    if audit.against is not None:
        _pairs(
            page,
            pictures,
            "Across the sets",
            audit.across_pairs(),
            f"Above from {audit.data}, below from {audit.against}.",
        )
    _pairs(
        page,
        pictures,
        "Copies with different labels",
        audit.contradicting_pairs(),
        "One of the two labels is wrong.",
    )
    if audit.leakage is not None and audit.leakage.leaks:
        page.table(
            "Origins in both sets",
            ["origin", "here", "there"],
            [[leak.group, leak.here, leak.there] for leak in audit.leakage.leaks[:MAX_SHOWN_ITEMS]],
            note=f"Told apart by {audit.leakage.how}.",
        )
    if audit._doubts:
        doubts = audit._doubts[:MAX_SHOWN_ITEMS]
        _strips(
            page,
            "Doubted labels",
            [pictures[d.index] for d in doubts],
            [f"{d.given} → {d.voted}" for d in doubts],
        )
        rows = [[audit._names[d.index], d.given, d.voted, d.vote, d.own] for d in doubts]
        page.table(
            "Doubted labels", ["image", "label", "neighbours say", "their share", "share of the label"], rows
        )
    if audit._faults:
        shown_faults = audit._faults[:MAX_SHOWN_ITEMS]
        _strips(page, "Faults", [pictures[f.index] for f in shown_faults], [f.kind for f in shown_faults])
        page.table(
            "Faults",
            ["image", "fault", "detail"],
            [[audit._names[f.index], f.kind, f.detail] for f in shown_faults],
        )
    if audit.skipped:
        page.table("Unreadable", ["file", "reason"], [[s.name, s.reason] for s in audit.skipped])
    if audit.balance is not None:
        counts = {k: float(v) for k, v in list(audit.balance.counts.items())[:MAX_SHOWN_ITEMS]}
        page.picture(
            "Classes", draw_bars(counts, label="images"), "Images of each class.", "Class sizes as bars"
        )
    return page


def _pairs(
    page: Report, pictures: Mapping[int, Pixels], section: str, pairs: Sequence[Pair], caption: str
) -> None:
    shown_pairs = pairs[:MAX_SHOWN_ITEMS]
    for start in range(0, len(shown_pairs), COLUMNS):
        part = shown_pairs[start : start + COLUMNS]
        rows = [
            ("" if start else "first", [pictures[p.first] for p in part]),
            ("" if start else "second", [pictures[p.second] for p in part]),
        ]
        last = start + COLUMNS >= len(shown_pairs)
        text = f"{caption} {len(shown_pairs)} of {len(pairs):,}." if last else " "
        page.picture(
            section,
            draw_image_rows(rows, columns=COLUMNS),
            text,
            f"{format_count(len(part), 'pair')} of images",
        )


def _strips(page: Report, section: str, images: Sequence[Pixels], titles: Sequence[str]) -> None:
    for start in range(0, len(images), COLUMNS):
        part = [_plain(image) for image in images[start : start + COLUMNS]]
        caption = " · ".join(titles[start : start + COLUMNS])
        page.picture(
            section, draw_image_rows([("", part)], columns=COLUMNS), caption, format_count(len(part), "image")
        )


def _read_pictures(audit: Audit) -> dict[int, Pixels]:
    """Row -> picture, of all rows that the page shows; each set is read once."""
    pairs = (
        *audit._duplicates.exact[:MAX_SHOWN_ITEMS],
        *audit._duplicates.near[:MAX_SHOWN_ITEMS],
        *audit.across_pairs()[:MAX_SHOWN_ITEMS],
        *audit.contradicting_pairs()[:MAX_SHOWN_ITEMS],
    )
    rows = {row for pair in pairs for row in (pair.first, pair.second)}
    rows |= {fault.index for fault in audit._faults[:MAX_SHOWN_ITEMS]}
    rows |= {doubt.index for doubt in (audit._doubts or ())[:MAX_SHOWN_ITEMS]}
    pictures: dict[int, Pixels] = {}
    for start, lookup in zip((0, audit.images), audit._lookups, strict=False):
        end = audit.images if start == 0 else len(audit._names)
        rows_of_set = sorted(row for row in rows if start <= row < end)
        images = lookup.read([row - start for row in rows_of_set])
        pictures |= {row: images.image(i) for i, row in enumerate(rows_of_set)}
    return pictures


def _plain(image: Pixels) -> Pixels:
    from isthmus.images.conform import to_dtype

    return to_dtype(image, "u1") if image.dtype.kind == "u" else image
