"""`isthmus embed MODEL DATA -o FILE`: one feature vector per image, for other tools."""

from isthmus.api.embedding import Embedding, embed
from isthmus.cli.command import Override, build_command

command = build_command(
    embed,
    arguments=("model", "data"),
    out=Embedding,
    out_required=True,
    options={"layer": Override(metavar="NAME"), "reference": Override(metavar="DATA")},
    examples="""
        isthmus embed features.safetensors photos/ -o photos.npz
        isthmus embed conv.safetensors mnist:test --layer stages.1 -o mnist.parquet
    """,
)
