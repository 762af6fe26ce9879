"""`isthmus tune DATA --over KEY=V1,V2`: settings compared by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.api.tuning import tune
from isthmus.api.tuning_results import TuningResult
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console
from isthmus.cli.line import command_line
from isthmus.cli.types import WORDS


def _suggest(console: Console, result: TuningResult, options: Mapping[str, Any]) -> None:
    """The training with the best settings, as a command that works as printed."""
    if result.best is None:
        return
    words = ["train", options["data"], "--recipe", options.get("recipe", result.recipe)]
    words += ["--code", options["code"]] if "code" in options else []
    shared = [*options.get("settings", ()), *(f"{key}={value}" for key, value in result.best.items())]
    words += [word for setting in shared for word in ("--set", setting)]
    console.suggest("try next:", [command_line(words)])


command = build_command(
    tune,
    arguments=("data",),
    out=TuningResult,
    finish=_suggest,
    options={
        "over": Override(metavar="KEY=V1,V2,…", required=True),
        "objectives": Override(metavar="A[,B]", type=WORDS),
        "log": Override(metavar="LOG"),
        "force": Override(help="Begin again where a log exists, and overwrite an output that exists."),
    },
    aliases={"--objective": "objectives"},
    old_outputs={"--report": "FILE.html"},
    examples="""
        isthmus tune fashion-sample --recipe sparse --over bottleneck.k=8,16,32 --budget 10
        isthmus tune photos/ --over code=16,32,64 --objectives reconstruction,numbers -o front.html
        isthmus tune photos/ --over optimiser.rate=1e-4..1e-2 --search random --trials 10 --log tried.jsonl
    """,
)
