"""`isthmus pull PLACE -o MODEL`: fetch a shared model."""

from isthmus.api.sharing import pull
from isthmus.cli.command import Override, build_command

command = build_command(
    pull,
    arguments=("place",),
    options={"out": Override(flags=("-o",), metavar="MODEL"), "revision": Override(metavar="REV")},
    examples="""
        isthmus pull ./shared/photos/ -o photos.safetensors
        isthmus pull somebody/photos
    """,
)
