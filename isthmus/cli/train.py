"""`isthmus train DATA`: from images to a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from isthmus.api.result import Result
from isthmus.api.training import (
    default_model_path,
    default_test_data,
    makes_new_images,
    plan_training,
    train,
)
from isthmus.api.training_results import describe_training
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console
from isthmus.cli.line import command_line

_ONLY_TRAIN = ("checkpoint_seconds", "out", "resume", "force", "progress")


def _run(console: Console, positional: list[Any], options: dict[str, Any]) -> Result | None:
    (data,) = positional
    if options.pop("dry_run", None):
        if "resume" in options:
            raise click.UsageError("--resume has no effect with --dry-run, which trains nothing")
        return plan_training(data, **{k: v for k, v in options.items() if k not in _ONLY_TRAIN})
    out = options.setdefault("out", default_model_path(data))
    model = train(data, **options)
    if console.silent:  # the first of several processes has the model and the last word
        return None
    report = describe_training(model)
    for finding in report.findings:
        (console.note if finding.severity == "note" else console.warn)(str(finding))
    return replace(report, model=out)


def _suggest(console: Console, result: Result, options: Mapping[str, Any]) -> None:
    """Commands that work as printed after this training."""
    model = getattr(result, "model", None)
    if model is None:
        return
    test = options.get("val") or default_test_data(options["data"])
    stem = model.removesuffix(".safetensors")
    target = ["--target", options["target"]] if options.get("target") else []
    scale = ["--range", "{:g},{:g}".format(*options["range"])] if "range" in options else []
    commands = [
        ["evaluate", model, test, *target, "-o", f"{stem}.html", *scale],
        ["reconstruct", model, test, "-o", f"{stem}-reconstructed", "--compare", *scale],
        ["info", model],
    ]
    if makes_new_images(getattr(result, "recipe", "")):
        commands.insert(0, ["generate", model, "-n", "16", "-o", f"{stem}-new.png"])
    console.suggest("try next:", [command_line(words) for words in commands])


command = build_command(
    train,
    arguments=("data",),
    call=_run,
    finish=_suggest,
    options={
        "out": Override(flags=("-o",), metavar="MODEL"),
        "names_from": Override(metavar="LIST"),
        "cache": Override(metavar="DIR"),
    },
    extra=(
        click.Option(
            ["--dry-run"],
            is_flag=True,
            default=None,
            help="Show shapes, parameters, memory and time; train nothing.",
        ),
    ),
    aliases={"--from": "start_from", "--turn": "augment_orientations", "--only": "names_from"},
    examples="""
        isthmus train photos/
        isthmus train mnist --recipe variational --code 16 --minutes 2
        isthmus train blurred/ --target sharp/ --minutes 10
        isthmus train photos/ --code 32@8 --set backbone.width=64 -o small.safetensors
    """,
)
