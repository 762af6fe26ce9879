"""`isthmus doctor`: what this machine offers, what is missing, and the command that adds it.

`isthmus doctor MODEL [DATA]` looks at a training instead, see `isthmus.cli.findings`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from isthmus.cli import machine
from isthmus.cli.console import Console, speaks
from isthmus.installation import install_command
from isthmus.machine import usable_cores
from isthmus.reports.tables import format_table
from isthmus.threads import count
from isthmus.version import __version__

# Extra -> the modules it must make importable; a test holds the names to pyproject.toml.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "umap": ("umap",),
    "search": ("faiss",),
    "parquet": ("pyarrow",),
    "bench": ("bm3d", "cv2", "pillow_jxl", "pywt", "skimage"),
    "hub": ("huggingface_hub",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "test": ("hypothesis", "mypy", "pytest", "xdist", "ruff", "skimage", "torchmetrics"),
    "privacy": ("opacus",),
    "tune": ("optuna",),
}

_CODECS = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}
_GIBI = 2**30
_LITTLE_SPACE = 2 * _GIBI


@dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, what was seen, and what to make of it."""

    name: str
    seen: str
    verdict: str = "ok"


@click.command()
@click.argument("model", required=False)
@click.argument("data", required=False)
@speaks
def command(console: Console, model: str | None, data: str | None) -> None:
    """Examine this machine, or the training of MODEL.

    Without arguments: versions, processor, memory, device, the speed of bf16 against float32, where data sets
    are looked for and which extras are installed, each with a verdict. Takes a few seconds, for the speed is
    measured.

    With MODEL: what was noticed at the end of its training (dead units, posterior collapse, over-fitting, a
    learning rate far off, …), each with a setting to try. With DATA the model is examined anew on these
    images; best are some that it was not trained on.
    """
    if model is not None:
        from isthmus.cli.findings import examine_training

        examine_training(model, data, console)
        return
    document = examine()
    console.emit(document)
    rows = [(check.name, check.seen, check.verdict) for check in checks(document)]
    console.result(format_table(("what", "seen", "verdict"), rows))


def examine() -> dict[str, Any]:
    """Everything the report tells, as a document of schema "isthmus.doctor/1"."""
    import numpy
    import PIL
    import torch
    from PIL import features

    from isthmus.images.cache import known_memory_bytes

    float32 = machine.convolution_seconds("float32")
    bfloat16 = machine.convolution_seconds("bfloat16")
    return {
        "schema": "isthmus.doctor/1",
        "versions": {
            "isthmus": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
        },
        "system": platform.platform(),
        "decodes": {name: bool(features.check(feature)) for name, feature in _CODECS.items()},
        "cpu": {
            "model": machine.processor(),
            "cores": usable_cores(),
            "threads": count(),
            "memory_bytes": known_memory_bytes(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
        },
        "device": _device(),
        "convolution": {
            "float32_seconds": float32,
            "bfloat16_seconds": bfloat16,
            "bfloat16_speedup": float32 / bfloat16 if float32 and bfloat16 else None,
        },
        "cache": _cache(),
        "isthmus_data": os.environ.get("ISTHMUS_DATA") or None,
        "data_sets": data_sets(),
        "extras": {name: {"missing": _missing(modules)} for name, modules in EXTRAS.items()},
    }


def checks(document: Mapping[str, Any]) -> list[Check]:
    """The document as lines for people, each with a verdict."""
    cpu, cache, memory = document["cpu"], document["cache"], document["cpu"]["memory_bytes"]
    lacking = [name for name, decodes in document["decodes"].items() if not decodes]
    free = cache["free_bytes"]
    data = document["isthmus_data"]
    return [
        *(Check(name, version) for name, version in document["versions"].items()),
        Check(
            "image formats",
            ", ".join(name for name, decodes in document["decodes"].items() if decodes)
            or "none of the newer ones",
            f"this Pillow cannot read {', '.join(lacking)}: pip install --upgrade pillow"
            if lacking
            else "ok",
        ),
        Check("processor", cpu["model"]),
        Check("cores", f"{cpu['cores']} usable, torch uses {cpu['threads']}", _threads_verdict(cpu)),
        Check("memory", "unknown" if memory is None else f"{memory / _GIBI:.1f} GiB"),
        Check("instruction set", cpu["instruction_set"]),
        Check("device", document["device"]["name"]),
        Check("bf16 convolution", *_speed(document["convolution"]["bfloat16_speedup"])),
        Check(
            "cache",
            f"{cache['folder']}, {'unknown space' if free is None else f'{free / _GIBI:.1f} GiB'} free",
            "little space left" if free is not None and free < _LITTLE_SPACE else "ok",
        ),
        Check(
            "$ISTHMUS_DATA",
            data or "not set",
            "no such folder" if data and not Path(data).expanduser().is_dir() else "ok",
        ),
        *(
            Check(f"data set {name}", where or "not here", "ok" if where else "downloaded when first used")
            for name, where in document["data_sets"].items()
        ),
        *(_extra_check(name, extra["missing"]) for name, extra in document["extras"].items()),
    ]


def _extra_check(name: str, missing: list[str]) -> Check:
    if not missing:
        return Check(f"extra {name}", "installed")
    return Check(f"extra {name}", f"without {', '.join(missing)}", f"missing: {install_command(name)}")


def _threads_verdict(cpu: Mapping[str, Any]) -> str:
    if cpu["threads"] > cpu["cores"]:
        return f"more threads than cores slow each other down: set ISTHMUS_THREADS={cpu['cores']}"
    return "ok"


def _speed(speedup: float | None) -> tuple[str, str]:
    if speedup is None:
        return "not available", "ok: training uses float32"
    return (
        f"{speedup:.2f} × the pace of float32",
        "ok: bf16 is the faster" if speedup > 1.1 else "ok: float32 will do",
    )


def _device() -> dict[str, str]:
    import torch

    if torch.cuda.is_available():
        return {"type": "cuda", "name": f"cuda: {torch.cuda.get_device_name()}"}
    if torch.backends.mps.is_available():
        return {"type": "mps", "name": "mps: Apple GPU"}
    return {"type": "cpu", "name": "cpu: no GPU that torch can use"}


def _cache() -> dict[str, Any]:
    from isthmus.images.cache import cache_folder

    folder = cache_folder()
    return {"folder": str(folder), "free_bytes": machine.free_bytes(folder)}


def data_sets() -> dict[str, str | None]:
    """Each named data set and the folder it would be read from now, or None where it would be downloaded."""
    from isthmus.images.named import where
    from isthmus.images.registry import NAMES

    found = {name: where(name) for name in NAMES}
    return {name: None if folder is None else str(folder) for name, folder in found.items()}


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [module for module in modules if find_spec(module) is None]
