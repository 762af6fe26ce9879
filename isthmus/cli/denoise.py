"""`isthmus denoise IMAGES… -o OUT`: images without their noise."""

from isthmus.api.denoising import denoise_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

command = build_command(
    denoise_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    options={"model": Override(flags=("-m",), metavar="MODEL"), "max_pixels": MAX_PIXELS},
    aliases={"--thorough": "ensemble"},
    examples="""
        isthmus denoise dark.jpg -o clean.png
        isthmus denoise scans/ -o clean/ --sigma 15 --compare
    """,
)
