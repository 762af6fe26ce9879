"""`isthmus info PATH`: what a model file or a compressed image holds. Imports no torch."""

from isthmus.api.inspection import inspect_file
from isthmus.cli.command import build_command

command = build_command(
    inspect_file,
    arguments=("path",),
    examples="""
        isthmus info photos.safetensors
        isthmus info photo.isth
    """,
)
