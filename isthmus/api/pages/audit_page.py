"""The audit as one HTML page, with pictures of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.api.data_audit import Audit
from isthmus.evaluation.audit.duplicates import Pair
from isthmus.images.store import Pixels
from isthmus.reports.charts import draw_bars
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Report
from isthmus.wording import format_count

SHOWN = 40
COLUMNS = 10


def audit_page(found: Audit) -> Report:
    """Sections for what was found; what was looked for and not found is said in the first."""
    page = Report(f"Audit of {found.data}", format_count(found.images, "image"))
    page.facts("Result", {str(name): value for name, value in found.rows()[1]})
    for remark in found.summary().splitlines():
        page.text("Result", remark)
    pairs = found._duplicates
    pictures = _read_pictures(found)
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
            [found._names[p.first], found._names[p.second], p.error, "yes" if p.mirrored else "no"]
            for p in pairs.near[:SHOWN]
        ]
        page.table("Near duplicates", ["first", "second", "left after aligning", "mirrored"], rows)
    if found.against is not None:
        _pairs(
            page,
            pictures,
            "Across the sets",
            found.across_pairs(),
            f"Above from {found.data}, below from {found.against}.",
        )
    _pairs(
        page,
        pictures,
        "Copies with different labels",
        found.contradicting_pairs(),
        "One of the two labels is wrong.",
    )
    if found.leakage is not None and found.leakage.leaks:
        page.table(
            "Origins in both sets",
            ["origin", "here", "there"],
            [[leak.group, leak.here, leak.there] for leak in found.leakage.leaks[:SHOWN]],
            note=f"Told apart by {found.leakage.how}.",
        )
    if found._doubts:
        shown = found._doubts[:SHOWN]
        _strips(
            page,
            "Doubted labels",
            [pictures[d.index] for d in shown],
            [f"{d.given} → {d.voted}" for d in shown],
        )
        rows = [[found._names[d.index], d.given, d.voted, d.vote, d.own] for d in shown]
        page.table(
            "Doubted labels", ["image", "label", "neighbours say", "their share", "share of the label"], rows
        )
    if found._faults:
        shown_faults = found._faults[:SHOWN]
        _strips(page, "Faults", [pictures[f.index] for f in shown_faults], [f.kind for f in shown_faults])
        page.table(
            "Faults",
            ["image", "fault", "detail"],
            [[found._names[f.index], f.kind, f.detail] for f in shown_faults],
        )
    if found.skipped:
        page.table("Unreadable", ["file", "reason"], [[s.name, s.reason] for s in found.skipped])
    if found.balance is not None:
        counts = {k: float(v) for k, v in list(found.balance.counts.items())[:SHOWN]}
        page.picture(
            "Classes", draw_bars(counts, label="images"), "Images of each class.", "Class sizes as bars"
        )
    return page


def _pairs(
    page: Report, pictures: Mapping[int, Pixels], section: str, pairs: Sequence[Pair], caption: str
) -> None:
    shown = pairs[:SHOWN]
    for start in range(0, len(shown), COLUMNS):
        part = shown[start : start + COLUMNS]
        rows = [
            ("" if start else "first", [pictures[p.first] for p in part]),
            ("" if start else "second", [pictures[p.second] for p in part]),
        ]
        last = start + COLUMNS >= len(shown)
        said = f"{caption} {len(shown)} of {len(pairs):,}." if last else " "
        page.picture(
            section,
            draw_image_rows(rows, columns=COLUMNS),
            said,
            f"{format_count(len(part), 'pair')} of images",
        )


def _strips(page: Report, section: str, images: Sequence[Pixels], titles: Sequence[str]) -> None:
    for start in range(0, len(images), COLUMNS):
        part = [_plain(image) for image in images[start : start + COLUMNS]]
        caption = " · ".join(titles[start : start + COLUMNS])
        page.picture(
            section, draw_image_rows([("", part)], columns=COLUMNS), caption, format_count(len(part), "image")
        )


def _read_pictures(found: Audit) -> dict[int, Pixels]:
    """Row -> picture, of all rows that the page shows; each set is read once."""
    pairs = (
        *found._duplicates.exact[:SHOWN],
        *found._duplicates.near[:SHOWN],
        *found.across_pairs()[:SHOWN],
        *found.contradicting_pairs()[:SHOWN],
    )
    rows = {row for pair in pairs for row in (pair.first, pair.second)}
    rows |= {fault.index for fault in found._faults[:SHOWN]}
    rows |= {doubt.index for doubt in (found._doubts or ())[:SHOWN]}
    pictures: dict[int, Pixels] = {}
    for start, lookup in zip((0, found.images), found._lookups, strict=False):
        end = found.images if start == 0 else len(found._names)
        own = sorted(row for row in rows if start <= row < end)
        images = lookup.read([row - start for row in own])
        pictures |= {row: images.image(i) for i, row in enumerate(own)}
    return pictures


def _plain(image: Pixels) -> Pixels:
    from isthmus.images.conform import to_dtype

    return to_dtype(image, "u1") if image.dtype.kind == "u" else image
