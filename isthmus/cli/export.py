"""`isthmus export MODEL -o MODEL.onnx`: encoder and decoder for programs without Python."""

from __future__ import annotations

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import MODEL_SUFFIX, load_model
from isthmus.reports.tables import format_table


@click.command()
@click.argument("model")
@click.option(
    "-o", "--out", metavar="NAME.onnx", help="Where to write; by default named after MODEL, beside it."
)
@force_option
@speaks
def command(console: Console, model: str, out: str | None, force: bool) -> None:
    """Write MODEL as ONNX files: NAME.encoder.onnx and NAME.decoder.onnx.

    Images are (N, C, H, W) float32 in [0, 1], any number of them, and of any size where the code is a grid
    (sides are multiples of the step that is printed). Each file is run by ONNX Runtime at two shapes it has
    not seen, and written only if it computes what the model does to within 1e-5.
    """
    autoencoder = load_model(model)
    from isthmus.model.export.onnx import export_onnx

    path = out if out is not None else f"{model.removesuffix(MODEL_SUFFIX)}.onnx"
    files = export_onnx(autoencoder, path, force=force)
    console.emit(
        {
            "schema": "isthmus.export/1",
            "model": model,
            "files": [one.to_dict() for one in files],
            "tolerance": 1e-5,
        }
    )
    rows = [
        (one.path, f"{one.input} ({', '.join(map(str, one.shape))})", one.step, one.output, one.error)
        for one in files
    ]
    console.result(format_table(("file", "input", "step", "output", "largest error"), rows))
