"""`isthmus models [NAME]`: what comes with the package, and what each model is good for. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.api.catalogue import ShippedModels, list_models
from isthmus.cli.command import build_command
from isthmus.cli.console import Console


def _suggest(console: Console, _result: ShippedModels, given: Mapping[str, Any]) -> None:
    if not given:
        console.suggest("isthmus models NAME shows data, licences, command and results")


command = build_command(
    list_models,
    arguments=("name",),
    finish=_suggest,
    examples="""
        isthmus models
        isthmus models photo-denoise-gray
    """,
)
