"""Commands that change or show codes: `interpolate`, `direction`, `transform` and `map`."""

from __future__ import annotations

from isthmus.api.code_directions import Direction, TransformedImages, find_direction, transform
from isthmus.api.code_maps import CodeMap, code_map
from isthmus.api.interpolation import InterpolatedImages, interpolate
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import NUMBERS

interpolate_command = build_command(
    interpolate,
    arguments=("model", "images"),
    many="images",
    out=InterpolatedImages,
    out_required=True,
    options={"reference": Override(metavar="DATA")},
    examples="""
        isthmus interpolate photos.safetensors photos/00.png photos/01.png -o path.gif
    """,
)

direction_command = build_command(
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

transform_command = build_command(
    transform,
    arguments=("model", "image"),
    out=TransformedImages,
    out_required=True,
    options={
        "along": Override(metavar="FILE", required=True),
        "by": Override(metavar="X[,X…]", type=NUMBERS),
    },
    aliases={"--plain": "no_keep_detail"},
    examples="""
        isthmus transform faces.safetensors me.png --along smile.safetensors --by -1,0,1,2 -o strip.png
    """,
)

map_command = build_command(
    code_map,
    arguments=("model", "data"),
    out=CodeMap,
    out_required=True,
    examples="""
        isthmus map photos.safetensors photos/ -o map.html
    """,
)
