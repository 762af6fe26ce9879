"""`isthmus serve [MODEL…]`: every use on one page in the browser."""

from isthmus.cli.command import build_command
from isthmus.web.serving import serve

command = build_command(
    serve,
    arguments=("models",),
    many="models",
    examples="""
        isthmus serve photos.safetensors --data photos/
        isthmus serve --port 0
    """,
)
