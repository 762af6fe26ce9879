"""Inspected pictures as one page: verdicts, detection power, the most unusual and the borderline ones."""

from __future__ import annotations

from isthmus.api.anomaly_result import AnomalyResult
from isthmus.reports.overlays import draw_overlay_sheet
from isthmus.reports.page import Report
from isthmus.wording import format_count

MAX_SHOWN_PICTURES, MAX_BORDERLINE_PICTURES = 12, 8
MAX_ROWS = 1000


def anomaly_page(result: AnomalyResult) -> Report:
    """Sections for the results and for their reliability."""
    page = Report("Inspection", f"{format_count(result.images, 'picture')}, scored by {result.score}")
    detector = result._scorer.detector
    page.facts(
        "Result",
        {
            "pictures": result.images,
            "flagged": result.flagged_images,
            "scored before": result.known_images or None,
            "false alarms": f"at most {result.false_alarms:.3g} of normal pictures",
            "threshold": result.threshold,
            "model": result.model,
            "score": detector.title,
            "fitted to": format_count(result.normal_images, "normal picture"),
            "threshold set on": f"{format_count(result.held_out_images, 'normal picture')}, each left out of "
            "the fit that scored it",
        },
    )
    for note in result.notes:
        page.text("Result", str(note))
    if result.power:
        page.text(
            "What this detector finds",
            f"Planted defects in normal pictures that it was not fitted to: it {result.power_text}. Real "
            "defects may be easier or harder.",
        )
        page.table(
            "What this detector finds",
            ["defects", "contrast", "planted", "found, %", "AUROC"],
            [[row.title, row.contrast, row.planted, 100 * row.found, row.auroc] for row in result.power],
            note="Contrast: change of brightness, of the range from black to white. Found: flagged at the "
            "rate of false alarms above. AUROC: 0.5 is chance.",
        )
    if result.labels is not None:
        labels = result.labels
        page.table(
            "Compared with labels",
            ["pictures", "flagged", "not flagged"],
            [["defective", labels.found, labels.missed], ["good", labels.false_alarms, labels.passed]],
            note=f"AUROC {labels.auroc:.3f}, average precision {labels.average_precision:.3f}. Good: "
            + ", ".join(labels.good_classes),
        )
    if result.masks is not None:
        page.facts(
            "Compared with masks",
            {
                "regions": result.masks.regions,
                "pixel AUROC": result.masks.pixel_auroc,
                "PRO up to 30 %": result.masks.pro,
                "regions touched": f"{result.masks.touched:.0%}",
            },
        )
    worst = result.worst(MAX_SHOWN_PICTURES)
    if worst:
        _add_sheet(page, result, "Most unusual", worst, "The most unusual pictures, and where.")
        caption = "Pictures whose scores are nearest to the threshold: look at these yourself."
        _add_sheet(page, result, "Borderline cases", result.borderline(MAX_BORDERLINE_PICTURES), caption)
    if result.images:
        order = result.worst(MAX_ROWS)
        hidden_count = result.images - len(order)
        page.table(
            "All pictures",
            ["picture", "score", "chance if normal", "verdict", "marked regions"],
            [[f.name, f.score, f"{f.chance:.2g}", f.verdict, len(f.boxes)] for f in map(result.facts, order)],
            note=f"{hidden_count:,} more are in the table of scores." if hidden_count else None,
        )
    if result.skipped:
        page.table("Unreadable", ["file", "reason"], [[item.name, item.reason] for item in result.skipped])
    return page


def _add_sheet(page: Report, result: AnomalyResult, section: str, rows: list[int], caption: str) -> None:
    items = [result.overlay(row) for row in rows]
    names = ", ".join(result.names[row] for row in rows)
    page.picture(section, draw_overlay_sheet(items, *result.colour_range()), caption, f"Pictures: {names}")
