"""`isthmus denoise`, `isthmus inpaint` and `isthmus reconstruct`: image files to image files."""

from isthmus.api.denoising import denoise_files
from isthmus.api.inpainting import inpaint_files
from isthmus.api.reconstruction import reconstruct_files
from isthmus.cli.command import build_command

denoise_command = build_command(
    denoise_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
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
    aliases={"--thorough": "ensemble"},
    examples="""
        isthmus inpaint scan.png --mask scratches.png -o whole.png
        isthmus inpaint marked.png --mask-colour '#ff00ff' -o whole.png
        isthmus inpaint camera/ --find dead-pixels -o fixed/
    """,
)

reconstruct_command = build_command(
    reconstruct_files,
    arguments=("model", "data"),
    rows=True,
    examples="""
        isthmus reconstruct model.safetensors photos/ -o seen/ --compare
    """,
)
