"""`isthmus decompress FILES… -o OUT`: images from compressed files."""

from isthmus.api.decompressed_files import decompress_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

command = build_command(
    decompress_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    options={"model": Override(flags=("-m",), metavar="MODEL"), "max_pixels": MAX_PIXELS},
    aliases={"--jobs": "workers"},
    examples="""
        isthmus decompress small/ -o again/
        isthmus decompress map.isth -o part.png --region 640x480+0+100
    """,
)
