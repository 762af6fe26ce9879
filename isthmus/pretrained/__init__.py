"""Small weights that come with the package, each `NAME.safetensors` with a card `NAME.json` beside it.

A card says what the model is good for, what it was trained on and under which licences, the command that
makes it again, its seed and time, and what was measured. `isthmus models` prints them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isthmus.errors import Hint, UsageError, nearest

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The shipped models."""
    return sorted(card.stem for card in FOLDER.glob("*.json"))


def card(name: str) -> dict[str, Any]:
    """What is known about a shipped model.

    Raises:
        UsageError: there is no such model; the message names the nearest.
    """
    if name not in names():
        raise UsageError(
            "no shipped model is called '{name}'{suggestion}",
            id="model.unknown-shipped",
            hint=Hint.call("list_models"),
            name=name,
            suggestion=nearest(name, names()),
        )
    facts: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return facts


def path(name: str) -> Path:
    """Where the weights of a shipped model lie.

    Raises:
        UsageError: as `card`.
    """
    card(name)
    return FOLDER / f"{name}.safetensors"


def codecs() -> dict[str, str]:
    """Names of the shipped codecs, by the fingerprint that their files hold."""
    facts = {name: card(name) for name in names()}
    return {known["fingerprint"]: name for name, known in facts.items() if "fingerprint" in known}
