"""`isthmus direction MODEL --plus DATA --minus DATA -o D`: the direction of an attribute in the code."""

from isthmus.api.code_directions import Direction, find_direction
from isthmus.cli.command import Override, build_command

command = build_command(
    find_direction,
    arguments=("model",),
    out=Direction,
    out_required=True,
    options={
        "plus": Override(metavar="DATA"),
        "minus": Override(metavar="DATA"),
        "data": Override(metavar="DATA"),
        "label": Override(metavar="NAME"),
        "from_label": Override(metavar="NAME"),
    },
    aliases={"--class": "label", "--from": "from_label"},
    examples="""
        isthmus direction faces.safetensors --plus smiling/ --minus serious/ -o smile.safetensors
    """,
)
