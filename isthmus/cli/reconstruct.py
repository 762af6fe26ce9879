"""`isthmus reconstruct MODEL DATA -o OUT`: images as a model sees them."""

from isthmus.api.reconstruction import reconstruct_files
from isthmus.cli.command import build_command

command = build_command(
    reconstruct_files,
    arguments=("model", "data"),
    rows=True,
    examples="""
        isthmus reconstruct model.safetensors photos/ -o seen/ --compare
    """,
)
