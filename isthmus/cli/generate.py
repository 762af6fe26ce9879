"""`isthmus generate MODEL -n N -o OUT`: new images."""

from isthmus.api.sampling import NewImages, generate
from isthmus.cli.command import Override, build_command

command = build_command(
    generate,
    arguments=("model",),
    out=NewImages,
    out_required=True,
    options={
        "count": Override(flags=("-n",)),
        "like": Override(metavar="IMAGE"),
        "label": Override(metavar="NAME"),
        "reference": Override(metavar="DATA"),
    },
    aliases={"--number": "count", "--class": "label"},
    examples="""
        isthmus generate photos.safetensors -n 36 -o new.png
        isthmus generate photos.safetensors -n 8 --like photos/03.png --strength 0.3 -o variations/
    """,
)
