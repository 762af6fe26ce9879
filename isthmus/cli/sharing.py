"""Commands that give models to others: `export`, `push` and `pull`."""

from __future__ import annotations

from isthmus.api.sharing import export_onnx, pull, push
from isthmus.cli.command import Override, build_command

export_command = build_command(
    export_onnx,
    arguments=("model",),
    options={"out": Override(flags=("-o",), metavar="NAME.onnx")},
    examples="""
        isthmus export photos.safetensors -o photos.onnx
    """,
)

push_command = build_command(
    push,
    arguments=("model", "place"),
    options={"message": Override(metavar="TEXT")},
    examples="""
        isthmus push photos.safetensors ./shared/photos/
        isthmus push photos.safetensors somebody/photos --private
    """,
)

pull_command = build_command(
    pull,
    arguments=("place",),
    options={"out": Override(flags=("-o",), metavar="MODEL"), "revision": Override(metavar="REV")},
    examples="""
        isthmus pull ./shared/photos/ -o photos.safetensors
        isthmus pull somebody/photos
    """,
)
