"""`isthmus models`: what comes with the package, and what each is good for."""

from __future__ import annotations

import click

from isthmus import pretrained
from isthmus.cli.console import Console, speaks


@click.command()
@click.argument("name", required=False)
@speaks
def command(console: Console, name: str | None) -> None:
    """List the shipped models, or show the card of the one called NAME.

    \b
    isthmus models
    isthmus models photo-denoise-gray
    """
    cards = {n: pretrained.card(n) for n in ([name] if name else pretrained.names())}
    rows = [{"name": n, "bytes": pretrained.path(n).stat().st_size, **found} for n, found in cards.items()]
    console.emit({"schema": "isthmus.models/1", "models": rows})
    if name is None:
        for row in rows:
            console.result(f"{row['name']}  ({row['bytes'] / 1e6:.1f} MB)\n    {row['good_for']}")
        console.suggest("isthmus models NAME shows data, licences, command and results")
        return
    for key, value in rows[0].items():
        if isinstance(value, dict | list):
            console.result(f"{key}:")
            lines = (
                [f"{inner}: {text}" for inner, text in value.items()] if isinstance(value, dict) else value
            )
            for line in lines:
                console.result(f"    {line}")
        else:
            console.result(f"{key}: {value}")
