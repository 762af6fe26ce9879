"""`isthmus compress IMAGES… -o OUT`: images to small files with an autoencoder."""

from isthmus.api.compressed_files import compress_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

command = build_command(
    compress_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    options={"model": Override(flags=("-m",), metavar="MODEL"), "max_pixels": MAX_PIXELS},
    aliases={"--jobs": "workers"},
    examples="""
        isthmus compress photos/ -o small/ --quality 60 --verify
        isthmus compress photo.png -o photo.isth --bpp 0.5
    """,
)
