"""A training that has not begun, as text: what `isthmus train --dry-run` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.progress import duration
from isthmus.reports.tables import format_table
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.training.outline import Outline

_MEBI = 2**20


def plan_text(found: Outline) -> str:
    """An outline for people."""
    rows: list[tuple[str, str, str, int | None]] = [("image", "", _shape(found.image), None)]
    parts = [stage.part for stage in found.stages]
    for index, stage in enumerate(found.stages):
        if stage.part == "decoder" and "decoder" not in parts[:index]:
            rows.append(("code", "", _shape(found.code), None))
        rows.append((stage.part, stage.name, _shape(stage.shape), stage.parameters))
    return "\n".join(
        [
            format_table(("part", "stage", "shape", "parameters"), rows),
            "",
            f"parameters   {found.parameters:,} (encoder {found.parameters_encoder:,}, "
            f"decoder {found.parameters_decoder:,})",
            f"memory       about {(found.weights + found.activations) / _MEBI:,.0f} MiB: "
            f"weights and optimiser {found.weights / _MEBI:,.0f}, one batch {found.activations / _MEBI:,.0f}",
            f"time         {format_count(found.steps, 'step')} of {1000 * found.seconds_per_step:.3g} ms: "
            f"about {duration(found.seconds)}",
            "nothing was trained or written",
        ]
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
