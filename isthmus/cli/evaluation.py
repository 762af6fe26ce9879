"""`isthmus evaluate`, `compare`, `explain` and `audit`: models and data, examined."""

from isthmus.api.comparison import Comparison, compare
from isthmus.api.data_audit import Audit, audit
from isthmus.api.evaluation import evaluate
from isthmus.api.evaluation_results import Evaluation
from isthmus.api.explanation import Explanation, explain
from isthmus.cli.command import Override, build_command
from isthmus.cli.types import UNITS, WORDS

evaluate_command = build_command(
    evaluate,
    arguments=("model", "data"),
    out=Evaluation,
    options={"features": Override(metavar="FILE"), "nll_samples": Override(metavar="K")},
    aliases={"--train": "reference"},
    old_outputs={"--report": "FILE.html"},
    examples="""
        isthmus evaluate model.safetensors mnist:test -o page.html -o scores.csv
    """,
)

compare_command = build_command(
    compare,
    arguments=("data",),
    out=Comparison,
    options={
        "recipes": Override(
            metavar="A,B,C", type=WORDS, help="Names or recipe files, separated by commas.", required=True
        ),
    },
    old_outputs={"--report": "FILE.html"},
    examples="""
        isthmus compare fashion-sample --recipes conv,dense,recurrent --minutes 1
        isthmus compare photos/ --recipes conv,mine.toml --code 32@8 --seeds 3 -o compared.html
    """,
)

explain_command = build_command(
    explain,
    arguments=("model", "image"),
    out=Explanation,
    options={"units": Override(metavar="N|A,B,…", type=UNITS)},
    aliases={"--data": "reference"},
    examples="""
        isthmus explain model.safetensors photos/03.png --units 12 -o explained.html
    """,
)

audit_command = build_command(
    audit,
    arguments=("data",),
    out=Audit,
    old_outputs={"--report": "FILE.html", "--write": "LIST.txt"},
    examples="""
        isthmus audit photos/ -o audit.html
        isthmus audit mnist --against mnist:test -o clean.txt
        isthmus train mnist --names-from clean.txt
    """,
)
