"""Files that a command writes beside what it prints: asked for before the work, written after it."""

from __future__ import annotations

from pathlib import Path

from isthmus.errors import OutputError


def check_free(*paths: str | None, force: bool) -> None:
    """Raises OutputError if any of these files exists and may not be replaced."""
    for path in paths:
        if path is not None and not force and Path(path).exists():
            raise OutputError(
                f"{path} exists; nothing was overwritten", hint="repeat the command with --force"
            )
