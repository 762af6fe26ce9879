"""`isthmus compare DATA --recipes A,B,C`: several recipes under one budget, one table."""

from isthmus.api.comparison import Comparison, compare
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import WORDS

command = build_command(
    compare,
    arguments=("data",),
    out=Comparison,
    options={
        "recipes": Override(
            metavar="A,B,C", type=WORDS, help="Names or recipe files, separated by commas.", required=True
        ),
        "settings": Override(metavar="KEY=VALUE"),
        "test": Override(metavar="DATA"),
    },
    old_outputs={"--report": "FILE.html"},
    examples="""
        isthmus compare fashion-sample --recipes conv,dense,recurrent --minutes 1
        isthmus compare photos/ --recipes conv,mine.toml --code 32@8 --seeds 3 -o compared.html
    """,
)
