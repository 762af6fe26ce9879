"""`isthmus anomalies MODEL DATA`: which images are unusual, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from isthmus.api.anomaly_detection import anomalies
from isthmus.api.anomaly_result import AnomalyResult
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console

FLAGGED_EXIT_CODE = 4


def _call(_console: Console, arguments: list[Any], options: dict[str, Any]) -> AnomalyResult:
    """Add to a folder of earlier results that `-o` names, unless it is to be written again."""
    from isthmus.api.inspection_folder import is_inspection_folder

    options.pop("fail_on_flagged", None)
    values = click.get_current_context().params
    if not values.get("force"):
        earlier = next((path for path in values.get("outputs") or () if is_inspection_folder(path)), None)
        if earlier is not None:
            options.setdefault("append", earlier)
    return anomalies(*arguments, **options)


def _finish(_console: Console, result: AnomalyResult, options: Mapping[str, Any]) -> None:
    """End with exit code 4 where something is flagged; 3 (skipped inputs) and 130 (Ctrl-C) win."""
    is_complete = not result.incomplete and result.interruption is None
    if options.get("fail_on_flagged") and result.flagged_images and is_complete:
        click.get_current_context().exit(FLAGGED_EXIT_CODE)


command = build_command(
    anomalies,
    arguments=("model", "data"),
    out=AnomalyResult,
    rows=True,
    options={
        "ignore_mask": Override(metavar="MASK"),
        "masks": Override(metavar="DIR"),
        "append": Override(metavar="DIR"),
    },
    old_outputs={"--picture": "FILE.png"},
    extra=(
        click.Option(
            ["--fail-on-flagged"],
            is_flag=True,
            default=None,
            help="End with exit code 4 where an image is flagged.",
        ),
    ),
    call=_call,
    finish=_finish,
    examples="""
        isthmus anomalies model.safetensors new-scans/ --normal good-scans/ -o results
        isthmus anomalies model.safetensors new-scans/ -o unusual.png -o scores.csv
    """,
)
