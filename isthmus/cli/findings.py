"""How findings about a training are told: `isthmus doctor MODEL [DATA]`, and lines for other commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.cli.console import Console
from isthmus.cli.inputs import check_data, load_model, swap_if_model
from isthmus.reports.tables import format_table
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.training.diagnosis.finding import Finding


def tell(findings: Sequence[Finding], console: Console) -> None:
    """Problems and warnings as warnings, notes as notes, one line each, on stderr."""
    for one in findings:
        if one.severity == "note":
            console.note(f"note: {one}")
        else:
            console.warn(str(one))


def examine_training(model: str, data: str | None, console: Console) -> None:
    """Say what is to be said about the training of `model`, anew on images of `data` where they are given."""
    autoencoder = load_model(model, swapped=None if data is None else swap_if_model(model, data, ["doctor"]))
    if data is not None:
        check_data(data)
    from isthmus.training.diagnosis.diagnose import diagnose, read_for
    from isthmus.training.diagnosis.observed import observe

    images = None if data is None else read_for(autoencoder, data)
    found = diagnose(autoencoder, images)
    seen = None if images is None else observe(autoencoder, images)
    console.emit(
        {
            "schema": "isthmus.diagnosis/1",
            "model": model,
            "data": data,
            "findings": [one.to_dict() for one in found],
            "observed": None if seen is None else seen.to_dict(),
        }
    )
    if found:
        rows = [(one.severity, one.name, one.message, one.suggestion) for one in found]
        console.result(format_table(("severity", "finding", "what was seen", "try"), rows))
    else:
        on = (
            f"on {format_count(seen.images, 'image')} of {data}"
            if seen is not None
            else "at the end of its training"
        )
        console.result(f"nothing was found amiss with {model} {on}")
