"""`isthmus recipes [NAME]`: the named recipes, or every setting of one. Imports no torch."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, speaks
from isthmus.errors import UsageError
from isthmus.reports.tables import format_table


@click.command()
@click.argument("name", required=False)
@click.option("--toml", is_flag=True, help="Print it as a file that `train --recipe FILE.toml` reads.")
@speaks
def command(console: Console, name: str | None, toml: bool) -> None:
    """List the named recipes, or show one in full.

    With NAME every setting is shown with its value and meaning; each can be changed in training with
    --set SETTING=VALUE.
    """
    from isthmus.model.recipe_file import write_recipe
    from isthmus.model.recipes import ARTICLES, FAMILIES, RECIPES, recipe, summary

    if name is None and toml:
        raise UsageError("--toml needs the name of a recipe", hint="isthmus recipes conv --toml")
    if name is None:
        groups = {"family": FAMILIES, "article": ARTICLES}
        rows = {group: [(known, summary(known)) for known in names] for group, names in groups.items()}
        listed = [
            {"name": known, "summary": text, "group": group} for group in rows for known, text in rows[group]
        ]
        console.emit({"schema": "isthmus.recipes/1", "recipes": listed})
        families = format_table(("recipe", "what it is"), rows["family"])
        console.result(families + "\n\n" + format_table(("article", "what it describes"), rows["article"]))
        console.suggest("every setting of one: isthmus recipes NAME")
        return
    chosen = recipe(name)
    settings = chosen.describe()
    text = summary(name) if name in RECIPES else f"the recipe in {name}"
    console.emit(
        {
            "schema": "isthmus.recipe/1",
            "name": name,
            "summary": text,
            "recipe": chosen.to_dict(),
            "settings": [
                {"key": key, "value": value, "meaning": meaning} for key, value, meaning in settings
            ],
        }
    )
    if toml:
        console.result(write_recipe(chosen).rstrip())
        return
    console.result(f"{name}: {text}\n\n" + format_table(("setting", "value", "meaning"), settings))
    console.suggest(f"change one: isthmus train DATA --recipe {name} --set {settings[1][0]}={settings[1][1]}")
