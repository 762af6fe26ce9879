"""Commands for feature vectors: `embed`, `classify`, `cluster` and `search`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.api.classification import Classification, classify
from isthmus.api.clustering import Clustering, cluster
from isthmus.api.embedding import Embedding, embed
from isthmus.api.similarity_search import SearchResult, search
from isthmus.cli.command import Override, build_command
from isthmus.cli.console import Console

embed_command = build_command(
    embed,
    arguments=("model", "data"),
    out=Embedding,
    out_required=True,
    examples="""
        isthmus embed features.safetensors photos/ -o photos.npz
        isthmus embed conv.safetensors mnist:test --layer stages.1 -o mnist.parquet
    """,
)

classify_command = build_command(
    classify,
    arguments=("model", "train", "test"),
    out=Classification,
    aliases={"--few": "few_labels"},
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus classify features.safetensors mnist:train mnist:test -o confusion.png -o classes.csv
    """,
)

cluster_command = build_command(
    cluster,
    arguments=("model", "data"),
    out=Clustering,
    options={
        "clusters": Override(flags=("-k",), metavar="K", required=True),
    },
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus cluster features.safetensors photos/ -k 12 -o groups.png -o groups.csv
    """,
)


def fail_without_index(console: Console, result: SearchResult, _options: Mapping[str, Any]) -> None:
    """A requested index that could not be written: the answer is complete, and the command fails."""
    if result.index_error is not None:
        console.lose(result.index_error)


search_command = build_command(
    search,
    arguments=("model", "data"),
    out=SearchResult,
    options={
        "like": Override(required=True),
        "count": Override(flags=("-n",)),
        "index": Override(metavar="FILE"),
    },
    old_flags=("--no-index",),
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus search features.safetensors photos/ --like this.png -n 5 -o found.png
    """,
    finish=fail_without_index,
)
