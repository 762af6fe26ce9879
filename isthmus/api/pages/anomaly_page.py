"""Inspected pictures as one page: verdicts, detection power, the most unusual and the borderline ones."""

from __future__ import annotations

from isthmus.api.anomaly_result import AnomalyResult
from isthmus.reports.overlays import draw_overlay_sheet
from isthmus.reports.page import Report
from isthmus.wording import format_count

SHOWN, BORDERLINE = 12, 8
MAX_ROWS = 1000


def anomaly_page(found: AnomalyResult) -> Report:
    """Sections for what was found and for how far it can be trusted."""
    page = Report("Inspection", f"{format_count(found.images, 'picture')}, scored by {found.score}")
    detector = found._scorer.detector
    page.facts(
        "Result",
        {
            "pictures": found.images,
            "flagged": found.flagged_images,
            "scored before": found.known_images or None,
            "false alarms": f"at most {found.false_alarms:.3g} of normal pictures",
            "threshold": found.threshold,
            "model": found.model,
            "score": detector.title,
            "fitted to": format_count(found.normal_images, "normal picture"),
            "threshold set on": f"{format_count(found.held_out_images, 'normal picture')}, each left out of "
            "the fit that scored it",
        },
    )
    for note in found.notes:
        page.text("Result", str(note))
    if found.power:
        page.text(
            "What this detector finds",
            f"Planted defects in normal pictures that it was not fitted to: it {found.power_text}. Real "
            "defects may be easier or harder.",
        )
        page.table(
            "What this detector finds",
            ["defects", "contrast", "planted", "found, %", "AUROC"],
            [[row.title, row.contrast, row.planted, 100 * row.found, row.auroc] for row in found.power],
            note="Contrast: change of brightness, of the range from black to white. Found: flagged at the "
            "rate of false alarms above. AUROC: 0.5 is chance.",
        )
    if found.labels is not None:
        one = found.labels
        page.table(
            "Compared with labels",
            ["pictures", "flagged", "not flagged"],
            [["defective", one.found, one.missed], ["good", one.false_alarms, one.passed]],
            note=f"AUROC {one.auroc:.3f}, average precision {one.average_precision:.3f}. Good: "
            + ", ".join(one.good_classes),
        )
    if found.masks is not None:
        page.facts(
            "Compared with masks",
            {
                "regions": found.masks.regions,
                "pixel AUROC": found.masks.pixel_auroc,
                "PRO up to 30 %": found.masks.pro,
                "regions touched": f"{found.masks.touched:.0%}",
            },
        )
    worst = found.worst(SHOWN)
    if worst:
        _add_sheet(page, found, "Most unusual", worst, "The most unusual pictures, and where.")
        caption = "Pictures whose scores are nearest to the threshold: look at these yourself."
        _add_sheet(page, found, "Borderline cases", found.borderline(BORDERLINE), caption)
    if found.images:
        order = found.worst(MAX_ROWS)
        more = found.images - len(order)
        page.table(
            "All pictures",
            ["picture", "score", "chance if normal", "verdict", "marked regions"],
            [[f.name, f.score, f"{f.chance:.2g}", f.verdict, len(f.boxes)] for f in map(found.facts, order)],
            note=f"{more:,} more are in the table of scores." if more else None,
        )
    if found.skipped:
        page.table("Unreadable", ["file", "reason"], [[one.name, one.reason] for one in found.skipped])
    return page


def _add_sheet(page: Report, found: AnomalyResult, section: str, rows: list[int], caption: str) -> None:
    items = [found.overlay(row) for row in rows]
    names = ", ".join(found.names[row] for row in rows)
    page.picture(section, draw_overlay_sheet(items, *found.colour_range()), caption, f"Pictures: {names}")
