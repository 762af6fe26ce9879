"""`isthmus interpolate MODEL A B … -o OUT`: a path between images."""

from isthmus.api.interpolation import InterpolatedImages, interpolate
from isthmus.cli.command import Override, build_command

command = build_command(
    interpolate,
    arguments=("model", "images"),
    many="images",
    out=InterpolatedImages,
    out_required=True,
    options={"reference": Override(metavar="DATA")},
    examples="""
        isthmus interpolate photos.safetensors photos/00.png photos/01.png -o path.gif
    """,
)
