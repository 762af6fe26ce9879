"""`isthmus verify FILES…`: are compressed files whole?"""

from isthmus.api.file_verification import verify_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

command = build_command(
    verify_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    options={"model": Override(flags=("-m",), metavar="MODEL"), "max_pixels": MAX_PIXELS},
    examples="""
        isthmus verify small/
    """,
)
