"""`isthmus audit DATA [--against DATA]`: is this set fit to train and test on?"""

from isthmus.api.data_audit import Audit, audit
from isthmus.cli.command import Override, build_command

command = build_command(
    audit,
    arguments=("data",),
    out=Audit,
    options={
        "against": Override(metavar="DATA"),
        "groups": Override(metavar="FILE|REGEX"),
        "model": Override(metavar="MODEL"),
    },
    old_outputs={"--report": "FILE.html", "--write": "LIST.txt"},
    examples="""
        isthmus audit photos/ -o audit.html
        isthmus audit mnist --against mnist:test -o clean.txt
        isthmus train mnist --names-from clean.txt
    """,
)
