"""`isthmus demo`: every use once, on shipped images; `isthmus serve`: every use on a page in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from isthmus.api.demonstration import Demonstration, run_demo
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console
from isthmus.web.serving import serve


def _run(console: Console, positional: list[Any], options: dict[str, Any]) -> Demonstration:  # noqa: ARG001
    options.pop("serve", None)
    return run_demo(**options)


def _finish(console: Console, result: Demonstration, options: Mapping[str, Any]) -> None:
    console.suggest("try next:", result.next)
    if options.get("serve"):
        from pathlib import Path

        from isthmus.api.demo_images import write_demo_images

        folder = Path(result.model).parent
        serve(result.model, data=write_demo_images(folder), out=folder)


demo_command = build_command(
    run_demo,
    options={"out": Override(flags=("-o",), metavar="DIR"), "minutes": Override(metavar="M")},
    extra=(
        click.Option(
            ["--serve"],
            is_flag=True,
            default=None,
            help="Then open the page with the model, see `isthmus serve`.",
        ),
    ),
    call=_run,
    finish=_finish,
)

serve_command = build_command(
    serve,
    arguments=("models",),
    many="models",
    examples="""
        isthmus serve photos.safetensors --data photos/
        isthmus serve --port 0
    """,
)
