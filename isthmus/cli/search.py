"""`isthmus search MODEL DATA --like IMAGE`: the images most similar to one."""

from collections.abc import Mapping
from typing import Any

from isthmus.api.similarity_search import SearchResult, search
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console


def fail_without_index(console: Console, result: SearchResult, _given: Mapping[str, Any]) -> None:
    """An index that was asked for and could not be written: the answer is complete, and the command fails."""
    if result.index_error is not None:
        console.lose(result.index_error)


command = build_command(
    search,
    arguments=("model", "data"),
    out=SearchResult,
    options={
        "like": Override(metavar="DATA", required=True),
        "count": Override(flags=("-n",)),
        "layer": Override(metavar="NAME"),
        "index": Override(metavar="FILE"),
    },
    old_flags=("--no-index",),
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus search features.safetensors photos/ --like this.png -n 5 -o found.png
    """,
    finish=fail_without_index,
)
