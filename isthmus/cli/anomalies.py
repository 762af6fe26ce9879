"""`isthmus anomalies MODEL DATA`: which images are unusual, and where."""

from isthmus.api.anomaly_detection import AnomalyResult, anomalies
from isthmus.cli.command import Override, build_command

command = build_command(
    anomalies,
    arguments=("model", "data"),
    out=AnomalyResult,
    rows=True,
    options={"normal": Override(metavar="DATA")},
    old_outputs={"--picture": "FILE.png"},
    examples="""
        isthmus anomalies model.safetensors new-scans/ --normal good-scans/ -o unusual.png -o scores.csv
    """,
)
