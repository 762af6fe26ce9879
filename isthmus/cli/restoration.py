"""Commands that restore images: `denoise` and `inpaint`."""

from __future__ import annotations

from isthmus.api.denoising import denoise_files
from isthmus.api.inpainting import inpaint_files
from isthmus.cli.command import MAX_PIXELS, Override, build_command

denoise_command = build_command(
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

inpaint_command = build_command(
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
