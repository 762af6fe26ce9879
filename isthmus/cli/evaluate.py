"""`isthmus evaluate MODEL DATA`: every number about a model, compared with baselines."""

from isthmus.api.evaluation import evaluate
from isthmus.api.evaluation_results import Evaluation
from isthmus.cli.command import Override, build_command

command = build_command(
    evaluate,
    arguments=("model", "data"),
    out=Evaluation,
    options={
        "target": Override(metavar="DATA"),
        "reference": Override(metavar="DATA"),
        "features": Override(metavar="FILE"),
        "nll_samples": Override(metavar="K"),
    },
    aliases={"--train": "reference"},
    old_outputs={"--report": "FILE.html"},
    examples="""
        isthmus evaluate model.safetensors mnist:test -o page.html -o scores.csv
    """,
)
