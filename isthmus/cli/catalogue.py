"""Commands that describe recipes, models and files: `recipes`, `models` and `info`. They import no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from isthmus.api.catalogue import ShippedModels, describe_recipe, list_models, list_recipes
from isthmus.api.inspection import inspect_file
from isthmus.cli.command import build_command
from isthmus.cli.console import Console
from isthmus.cli.output_options import output_options
from isthmus.cli.show import show
from isthmus.errors import Hint, UsageError


@click.command()
@click.argument("name", required=False)
@click.option("--toml", is_flag=True, help="Print it as a file that `train --recipe FILE.toml` reads.")
@output_options
def recipes_command(console: Console, name: str | None, toml: bool) -> None:
    """List the named recipes, or show one in full.

    With NAME every setting is shown with its value and meaning; each can be changed in training with
    --set SETTING=VALUE.
    """
    if name is None:
        if toml:
            raise UsageError(
                "--toml needs the name of a recipe",
                id="recipe.toml-without-name",
                hint=Hint("isthmus recipes conv --toml"),
            )
        show(console, list_recipes())
        console.suggest("every setting of one: isthmus recipes NAME")
        return
    result = describe_recipe(name)
    if toml:
        console.emit(result.to_dict())
        console.result(result.toml.rstrip())
        return
    show(console, result)
    console.suggest(f"change one: isthmus train DATA --recipe {name} --set optimiser.rate=3e-4")


def _suggest(console: Console, _result: ShippedModels, options: Mapping[str, Any]) -> None:
    if not options:
        console.suggest("isthmus models NAME shows data, licences, command and results")


models_command = build_command(
    list_models,
    arguments=("name",),
    finish=_suggest,
    examples="""
        isthmus models
        isthmus models photo-denoise-gray
    """,
)

info_command = build_command(
    inspect_file,
    arguments=("path",),
    examples="""
        isthmus info photos.safetensors
        isthmus info photo.isth
    """,
)
