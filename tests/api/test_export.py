"""`isthmus export` gives the document of `isthmus.export_onnx`; what the files compute: tests/model."""

from __future__ import annotations

from importlib.util import find_spec

import isthmus

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {}
if find_spec("onnxscript") is not None:
    PARITY = {
        "export": Parity(["export", MODEL], lambda: isthmus.export_onnx(MODEL, force=True)),
        "export, all options": Parity(
            ["export", MODEL, "-o", "one.onnx", "--force"], lambda: isthmus.export_onnx(MODEL, "two.onnx")
        ),
    }
