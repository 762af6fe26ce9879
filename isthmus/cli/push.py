"""`isthmus push MODEL PLACE`: share a model in a folder or on a hub."""

from isthmus.api.sharing import push
from isthmus.cli.command import Override, build_command

command = build_command(
    push,
    arguments=("model", "place"),
    options={"message": Override(metavar="TEXT")},
    examples="""
        isthmus push photos.safetensors ./shared/photos/
        isthmus push photos.safetensors somebody/photos --private
    """,
)
