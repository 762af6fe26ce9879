"""`isthmus inpaint IMAGES… -o OUT`: images whose holes are filled."""

from isthmus.api.inpainting import inpaint_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

command = build_command(
    inpaint_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    options={"model": Override(flags=("-m",), metavar="MODEL"), "max_pixels": MAX_PIXELS},
    aliases={"--thorough": "ensemble"},
    examples="""
        isthmus inpaint scan.png --mask scratches.png -o whole.png
        isthmus inpaint marked.png --mask-colour '#ff00ff' -o whole.png
        isthmus inpaint camera/ --find dead-pixels -o fixed/
    """,
)
