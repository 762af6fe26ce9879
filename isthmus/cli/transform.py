"""`isthmus transform MODEL IMAGE --along D --by X -o OUT`: an image changed along a direction."""

from isthmus.api.code_directions import TransformedImages, transform
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import NUMBERS

command = build_command(
    transform,
    arguments=("model", "image"),
    out=TransformedImages,
    out_required=True,
    options={
        "along": Override(metavar="FILE", required=True),
        "by": Override(metavar="X[,X…]", type=NUMBERS),
    },
    aliases={"--plain": "no_keep_detail"},
    examples="""
        isthmus transform faces.safetensors me.png --along smile.safetensors --by -1,0,1,2 -o strip.png
    """,
)
