"""`isthmus augment MODEL DATA -n N -o DIR`: more labelled images."""

from isthmus.api.augmentation import AugmentedImages, augment
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import WORDS

command = build_command(
    augment,
    arguments=("model", "data"),
    out=AugmentedImages,
    out_required=True,
    options={
        "count": Override(flags=("-n",)),
        "methods": Override(metavar="A,B", type=WORDS),
        "distortions": Override(metavar="A,B", type=WORDS),
    },
    aliases={"--number": "count", "--unfiltered": "no_filtered"},
    examples="""
        isthmus augment fashion.safetensors labelled/ -n 2000 -o more/
    """,
)
