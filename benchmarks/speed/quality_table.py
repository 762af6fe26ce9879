"""The Markdown of `benchmarks/time_to_quality.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TARGET = 20.0
NAMES = {"bce-128": "MNIST, code 128, cross-entropy", "mse-32": "Fashion-MNIST, code 32, squared error"}


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """One row for each task and contender; who never got there is marked with ≥."""
    rows = ["| task | contender | seconds | best loss | times Isthmus' | |", "|---|---|---|---|---|---|"]
    for task, contenders in results.items():
        ours = contenders.get("Isthmus")
        for name, contender in contenders.items():
            bound = "" if contender["reached"] else "≥ "
            times, verdict = "", ""
            if ours is not None and name != "Isthmus" and ours["reached"]:
                ratio = contender["seconds"] / ours["seconds"]
                times, verdict = f"{bound}{ratio:.1f}×", "reached" if ratio >= TARGET else "falls short"
                if not contender["reached"] and ratio < TARGET:
                    verdict = "not decided: stopped before"
            what = f"{NAMES[task]} {str(contender['target']).lstrip('0')}"
            best = f"{contender['best']:.4f}".lstrip("0")
            rows.append(
                f"| {what} | {name} | {bound}{contender['seconds']:.1f} | {best} | {times} | {verdict} |"
            )
    return "\n".join(rows) + "\n"
