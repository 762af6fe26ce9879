"""`isthmus prior MODEL [DATA]`: what new images are drawn from, fitted to the codes of old ones."""

from isthmus.api.priors import fit_prior
from isthmus.cli.command import build_command

command = build_command(
    fit_prior,
    arguments=("model", "data"),
    aliases={"--no-labels": "no_use_labels"},
    examples="""
        isthmus prior photos.safetensors photos/ --kind mixture
    """,
)
