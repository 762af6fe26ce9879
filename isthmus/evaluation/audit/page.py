"""The audit as one HTML page, with pictures of what was found."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.evaluation.audit.audit import Audit
from isthmus.evaluation.audit.duplicates import Pair
from isthmus.evaluation.drawing.pictures import bars, before_after
from isthmus.evaluation.report.page import Report
from isthmus.images.store import Pixels
from isthmus.wording import format_count

SHOWN = 40
COLUMNS = 10


def audit_page(found: Audit) -> Report:
    """Sections for what was found; what was looked for and not found is said in the first."""
    images = found.images
    page = Report(f"Audit of {images.source}", format_count(len(images), "image"))
    page.facts("Result", dict(summary(found)))
    for remark in remarks(found):
        page.text("Result", remark)
    pairs = found.duplicates
    _pairs(page, found, "Exact copies", pairs.exact, "Above the first, below its copy.")
    _pairs(
        page,
        found,
        "Near duplicates",
        pairs.near,
        "Pairs that a crop, a mirror, JPEG or a change of brightness explains; the least doubtful first.",
    )
    if pairs.near:
        rows = [
            [found.name(p.first), found.name(p.second), p.error, "yes" if p.mirrored else "no"]
            for p in pairs.near[:SHOWN]
        ]
        page.table("Near duplicates", ["first", "second", "left after aligning", "mirrored"], rows)
    if found.against is not None:
        _pairs(
            page,
            found,
            "Across the sets",
            found.across(),
            f"Above from {images.source}, below from {found.against.source}.",
        )
    _pairs(
        page, found, "Copies with different labels", found.contradicting(), "One of the two labels is wrong."
    )
    if found.leakage is not None and found.leakage.leaks:
        page.table(
            "Origins in both sets",
            ["origin", "here", "there"],
            [[leak.group, leak.here, leak.there] for leak in found.leakage.leaks[:SHOWN]],
            note=f"Told apart by {found.leakage.how}.",
        )
    if found.doubts:
        shown = found.doubts[:SHOWN]
        _strips(
            page,
            "Doubted labels",
            [images.image(d.index) for d in shown],
            [f"{d.given} → {d.voted}" for d in shown],
        )
        rows = [[images.names[d.index], d.given, d.voted, d.vote, d.own] for d in shown]
        page.table(
            "Doubted labels", ["image", "label", "neighbours say", "their share", "share of the label"], rows
        )
    if found.faults:
        shown_faults = found.faults[:SHOWN]
        _strips(page, "Faults", [images.image(f.index) for f in shown_faults], [f.kind for f in shown_faults])
        page.table(
            "Faults",
            ["image", "fault", "detail"],
            [[images.names[f.index], f.kind, f.detail] for f in shown_faults],
        )
    if images.skipped:
        page.table("Unreadable", ["file", "reason"], [[s.name, s.reason] for s in images.skipped])
    if found.balance is not None:
        counts = {k: float(v) for k, v in list(found.balance.counts.items())[:SHOWN]}
        page.picture("Classes", bars(counts, label="images"), "Images of each class.", "Class sizes as bars")
    return page


def summary(found: Audit) -> list[tuple[str, int | float | None]]:
    """The few numbers that matter most."""
    rows: list[tuple[str, int | float | None]] = [
        ("images", len(found.images)),
        ("unreadable", len(found.images.skipped)),
        ("exact copies", len(found.duplicates.exact)),
        ("near duplicates", len(found.duplicates.near)),
        ("copies with different labels", len(found.contradicting())),
        ("images with faults", len({fault.index for fault in found.faults})),
        ("doubted labels", len(found.doubts) if found.images.labels is not None else None),
    ]
    if found.against is not None:
        rows.insert(5, ("pairs across the sets", len(found.across())))
    if found.leakage is not None:
        rows.insert(6, ("origins in both sets", len(found.leakage.leaks)))
    if found.balance is not None:
        rows.append(("largest against smallest class", found.balance.ratio))
    rows.append(("clean images", len(found.clean)))
    return rows


def remarks(found: Audit) -> list[str]:
    """What else must be said, one sentence each."""
    said = [*found.set_faults, *(found.balance.remarks if found.balance else ())]
    return [f"{text[0].upper()}{text[1:]}." for text in said]


def _pairs(page: Report, found: Audit, section: str, pairs: Sequence[Pair], caption: str) -> None:
    shown = pairs[:SHOWN]
    for start in range(0, len(shown), COLUMNS):
        part = shown[start : start + COLUMNS]
        rows = [
            ("" if start else "first", [_image(found, p.first) for p in part]),
            ("" if start else "second", [_image(found, p.second) for p in part]),
        ]
        last = start + COLUMNS >= len(shown)
        said = f"{caption} {len(shown)} of {len(pairs):,}." if last else " "
        page.picture(
            section, before_after(rows, columns=COLUMNS), said, f"{format_count(len(part), 'pair')} of images"
        )


def _strips(page: Report, section: str, images: Sequence[Pixels], titles: Sequence[str]) -> None:
    for start in range(0, len(images), COLUMNS):
        part = [_plain(image) for image in images[start : start + COLUMNS]]
        caption = " · ".join(titles[start : start + COLUMNS])
        page.picture(
            section, before_after([("", part)], columns=COLUMNS), caption, format_count(len(part), "image")
        )


def _image(found: Audit, index: int) -> Pixels:
    count = len(found.images)
    if index < count:
        return _plain(found.images.image(index))
    assert found.against is not None
    return _plain(found.against.image(index - count))


def _plain(image: Pixels) -> Pixels:
    from isthmus.images.conform import to_dtype

    return to_dtype(image, "u1") if image.dtype.kind == "u" else image
