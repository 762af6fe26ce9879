"""`isthmus cluster MODEL DATA -k K`: groups of similar images."""

from isthmus.api.clustering import Clustering, cluster
from isthmus.cli.command import Override, build_command

command = build_command(
    cluster,
    arguments=("model", "data"),
    out=Clustering,
    options={
        "clusters": Override(flags=("-k",), metavar="K", required=True),
        "layer": Override(metavar="NAME"),
    },
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus cluster features.safetensors photos/ -k 12 -o groups.png -o groups.csv
    """,
)
