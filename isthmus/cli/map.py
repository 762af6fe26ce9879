"""`isthmus map MODEL DATA -o FILE.html`: all codes on one page that can be zoomed."""

from isthmus.api.code_maps import CodeMap, code_map
from isthmus.cli.command import build_command

command = build_command(
    code_map,
    arguments=("model", "data"),
    out=CodeMap,
    out_required=True,
    examples="""
        isthmus map photos.safetensors photos/ -o map.html
    """,
)
