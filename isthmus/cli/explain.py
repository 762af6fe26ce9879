"""`isthmus explain MODEL IMAGE`: what each unit of the code looks at and decodes to."""

from isthmus.api.explanation import Explanation, explain
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import UNITS

command = build_command(
    explain,
    arguments=("model", "image"),
    out=Explanation,
    options={
        "reference": Override(metavar="DATA"),
        "units": Override(metavar="N|A,B,…", type=UNITS),
    },
    aliases={"--data": "reference"},
    examples="""
        isthmus explain model.safetensors photos/03.png --units 12 -o explained.html
    """,
)
