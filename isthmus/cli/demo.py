"""`isthmus demo`: every use once, on images that come with the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.api.demonstration import Demonstration, run_demo
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console


def _suggest(console: Console, result: Demonstration, given: Mapping[str, Any]) -> None:  # noqa: ARG001
    console.suggest("try next:", result.next)


command = build_command(
    run_demo,
    options={"out": Override(flags=("-o",), metavar="DIR"), "minutes": Override(metavar="M")},
    finish=_suggest,
)
