"""Of codes: `prior`, `generate`, `interpolate`, `direction`, `transform`, `augment` and `map`."""

from __future__ import annotations

from isthmus.api.augmentation import AugmentedImages, augment
from isthmus.api.code_directions import Direction, TransformedImages, find_direction, transform
from isthmus.api.code_maps import CodeMap, code_map
from isthmus.api.interpolation import InterpolatedImages, interpolate
from isthmus.api.priors import fit_prior
from isthmus.api.sampling import NewImages, generate
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import NUMBERS, WORDS

prior_command = build_command(
    fit_prior,
    arguments=("model", "data"),
    aliases={"--no-labels": "no_use_labels"},
    examples="""
        isthmus prior photos.safetensors photos/ --kind mixture
    """,
)

generate_command = build_command(
    generate,
    arguments=("model",),
    out=NewImages,
    out_required=True,
    options={
        "count": Override(flags=("-n",)),
    },
    aliases={"--number": "count", "--class": "label"},
    examples="""
        isthmus generate photos.safetensors -n 36 -o new.png
        isthmus generate photos.safetensors -n 8 --like photos/03.png --strength 0.3 -o variations/
    """,
)

interpolate_command = build_command(
    interpolate,
    arguments=("model", "images"),
    many="images",
    out=InterpolatedImages,
    out_required=True,
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

augment_command = build_command(
    augment,
    arguments=("model", "data"),
    out=AugmentedImages,
    out_required=True,
    options={
        "count": Override(flags=("-n",)),
        "methods": Override(metavar="A,B", type=WORDS),
        "distortions": Override(metavar="A,B", type=WORDS),
    },
    aliases={"--number": "count", "--unfiltered": "no_filtered"},
    examples="""
        isthmus augment fashion.safetensors labelled/ -n 2000 -o more/
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
