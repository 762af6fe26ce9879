"""`isthmus export MODEL -o NAME.onnx`: encoder and decoder for programs without Python."""

from isthmus.api.sharing import export_onnx
from isthmus.cli.command import Override, build_command

command = build_command(
    export_onnx,
    arguments=("model",),
    options={"out": Override(flags=("-o",), metavar="NAME.onnx")},
    examples="""
        isthmus export photos.safetensors -o photos.onnx
    """,
)
