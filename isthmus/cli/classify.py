"""`isthmus classify MODEL TRAIN TEST`: how well labels can be read off a model's features."""

from isthmus.api.classification import Classification, classify
from isthmus.cli.command import Override, build_command

command = build_command(
    classify,
    arguments=("model", "train", "test"),
    out=Classification,
    options={"layer": Override(metavar="NAME")},
    aliases={"--few": "few_labels"},
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus classify features.safetensors mnist:train mnist:test -o confusion.png -o classes.csv
    """,
)
