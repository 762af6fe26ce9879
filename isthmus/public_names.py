"""The public names of the package and where they live: the one table behind `isthmus/__init__.py`.

After a change of the table `python isthmus/public_names.py` writes that file again; a test compares them.
"""

from __future__ import annotations

from pathlib import Path

PUBLIC: dict[str, tuple[str, ...]] = {
    "isthmus.api.anomaly_detection": ("anomalies",),
    "isthmus.api.augmentation": ("augment",),
    "isthmus.api.catalogue": ("describe_recipe", "list_models", "list_recipes"),
    "isthmus.api.classification": ("classify",),
    "isthmus.api.clustering": ("cluster",),
    "isthmus.api.code_directions": ("find_direction", "transform"),
    "isthmus.api.code_maps": ("code_map",),
    "isthmus.api.compressed_files": ("compress_files",),
    "isthmus.api.compression": ("compress", "decompress", "fit_codec", "read_preview"),
    "isthmus.api.comparison": ("compare",),
    "isthmus.api.data_audit": ("audit",),
    "isthmus.api.decompressed_files": ("decompress_files",),
    "isthmus.api.demonstration": ("run_demo",),
    "isthmus.api.denoising": ("denoise", "denoise_files"),
    "isthmus.api.diagnosis": ("diagnose",),
    "isthmus.api.embedding": ("embed",),
    "isthmus.api.evaluation": ("evaluate",),
    "isthmus.api.explanation": ("explain",),
    "isthmus.api.file_verification": ("verify_files",),
    "isthmus.api.frame_sequences": (
        *("fill_frames", "fit_motion", "insert_frames", "predict_frames", "reconstruct_frames"),
    ),
    "isthmus.api.interpolation": ("interpolate",),
    "isthmus.api.inpainting": ("inpaint", "inpaint_files"),
    "isthmus.api.inspection": ("inspect_file",),
    "isthmus.api.machine_report": ("check_machine",),
    "isthmus.api.priors": ("fit_prior",),
    "isthmus.api.reconstruction": ("reconstruct_files",),
    "isthmus.api.result": ("Result",),
    "isthmus.api.sampling": ("generate",),
    "isthmus.api.sharing": ("export_onnx", "pull", "push"),
    "isthmus.api.similarity_search": ("search",),
    "isthmus.api.training": ("plan_training", "train"),
    "isthmus.api.training_results": ("describe_training",),
    "isthmus.api.tuning": ("tune",),
    "isthmus.codec.container": ("CompressedFileError",),
    "isthmus.deprecated": ("evaluate_model", "generate_images"),
    "isthmus.estimator": ("ImageAutoencoder",),
    "isthmus.images.listing": ("TooManyError",),
    "isthmus.images.opening": ("ImageFileError",),
    "isthmus.images.reading": ("read",),
    "isthmus.model.autoencoder": ("Autoencoder",),
    "isthmus.model.export.onnx": ("ExportError",),
    "isthmus.model.hub": ("HubError",),
    "isthmus.model.loading": ("load",),
    "isthmus.model.recipe": ("Recipe",),
    "isthmus.model.recipes": ("recipe",),
    "isthmus.pillow": ("register_pillow",),
    "isthmus.training.callbacks": ("Callback", "TrainingEvent"),
    "isthmus.training.losses": ("DivergedError",),
    # Without torch and NumPy; imported with the package.
    "isthmus.errors": (
        *("BusyError", "CapabilityError", "DataError", "ExistsError", "Hint", "IsthmusError"),
        *("MissingExtraError", "ModelFileError", "OutputError", "ProcessError", "Stopped", "UsageError"),
    ),
    "isthmus.version": ("__version__",),
    "isthmus.web.serving": ("serve",),
}
_AT_ONCE = ("isthmus.errors", "isthmus.version")

HOMES = {name: module for module, names in PUBLIC.items() for name in names}
"""Public name -> its module."""

_TEMPLATE = '''\
"""Isthmus: train one autoencoder on your images and use it for everything autoencoders are good for.

    import isthmus
    model = isthmus.train("photos/", recipe="conv")
    code = model.encode(images)

Names are looked up on first use (PEP 562), so that `import isthmus` costs nothing and imports no torch. This
file is written from the table in `isthmus/public_names.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

{errors}
from isthmus.public_names import HOMES
{version}

if TYPE_CHECKING:
{lazy}

__all__ = [
{names}
]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'isthmus' has no attribute '{{name}}'")
    value: object = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({{*globals(), *__all__}})
'''


def face() -> str:
    """The text of `isthmus/__init__.py`."""
    return _TEMPLATE.format(
        errors=_import("isthmus.errors"),
        version=_import("isthmus.version"),
        lazy="\n".join("    " + _import(module) for module in sorted(PUBLIC) if module not in _AT_ONCE),
        names="\n".join(f'    "{name}",' for name in sorted(HOMES, key=_sort_key)),
    )


def _import(module: str) -> str:
    names = sorted(PUBLIC[module])
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 100:
        return line
    indent = "    " if module in _AT_ONCE else "        "
    return f"from {module} import (\n" + "".join(f"{indent}{name},\n" for name in names) + indent[4:] + ")"


def _sort_key(name: str) -> tuple[bool, str]:
    return not name[0].isupper(), name  # as ruff sorts them


if __name__ == "__main__":
    (Path(__file__).parent / "__init__.py").write_text(face(), "utf-8")
