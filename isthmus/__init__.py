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

from isthmus.errors import (
    BusyError,
    CapabilityError,
    DataError,
    ExistsError,
    Hint,
    IsthmusError,
    MissingExtraError,
    ModelFileError,
    OutputError,
    ProcessError,
    Stopped,
    UsageError,
)
from isthmus.public_names import HOMES
from isthmus.version import __version__

if TYPE_CHECKING:
    from isthmus.api.anomaly_detection import anomalies
    from isthmus.api.augmentation import augment
    from isthmus.api.catalogue import describe_recipe, list_models, list_recipes
    from isthmus.api.classification import classify
    from isthmus.api.clustering import cluster
    from isthmus.api.code_directions import find_direction, transform
    from isthmus.api.code_maps import code_map
    from isthmus.api.comparison import compare
    from isthmus.api.compressed_files import compress_files
    from isthmus.api.compression import compress, decompress, fit_codec, read_preview
    from isthmus.api.data_audit import audit
    from isthmus.api.decompressed_files import decompress_files
    from isthmus.api.demonstration import run_demo
    from isthmus.api.denoising import denoise, denoise_files
    from isthmus.api.diagnosis import diagnose
    from isthmus.api.embedding import embed
    from isthmus.api.evaluation import evaluate
    from isthmus.api.explanation import explain
    from isthmus.api.file_verification import verify_files
    from isthmus.api.frame_sequences import (
        fill_frames,
        fit_motion,
        insert_frames,
        predict_frames,
        reconstruct_frames,
    )
    from isthmus.api.inpainting import inpaint, inpaint_files
    from isthmus.api.inspection import inspect_file
    from isthmus.api.machine_report import check_machine
    from isthmus.api.reconstruction import reconstruct_files
    from isthmus.api.result import Result
    from isthmus.api.sampling import fit_prior, generate, interpolate
    from isthmus.api.sharing import export_onnx, pull, push
    from isthmus.api.similarity_search import search
    from isthmus.api.training import describe_training, plan_training, train
    from isthmus.api.tuning import tune
    from isthmus.codec.container import CompressedFileError
    from isthmus.deprecated import evaluate_model, generate_images
    from isthmus.estimator import ImageAutoencoder
    from isthmus.images.listing import TooManyError
    from isthmus.images.opening import ImageFileError
    from isthmus.images.reading import read
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.model.export.onnx import ExportError
    from isthmus.model.hub import HubError
    from isthmus.model.loading import load
    from isthmus.model.recipe import Recipe
    from isthmus.model.recipes import recipe
    from isthmus.pillow import register_pillow
    from isthmus.training.callbacks import Callback, TrainingEvent
    from isthmus.training.losses import DivergedError

__all__ = [
    "Autoencoder",
    "BusyError",
    "Callback",
    "CapabilityError",
    "CompressedFileError",
    "DataError",
    "DivergedError",
    "ExistsError",
    "ExportError",
    "Hint",
    "HubError",
    "ImageAutoencoder",
    "ImageFileError",
    "IsthmusError",
    "MissingExtraError",
    "ModelFileError",
    "OutputError",
    "ProcessError",
    "Recipe",
    "Result",
    "Stopped",
    "TooManyError",
    "TrainingEvent",
    "UsageError",
    "__version__",
    "anomalies",
    "audit",
    "augment",
    "check_machine",
    "classify",
    "cluster",
    "code_map",
    "compare",
    "compress",
    "compress_files",
    "decompress",
    "decompress_files",
    "denoise",
    "denoise_files",
    "describe_recipe",
    "describe_training",
    "diagnose",
    "embed",
    "evaluate",
    "evaluate_model",
    "explain",
    "export_onnx",
    "fill_frames",
    "find_direction",
    "fit_codec",
    "fit_motion",
    "fit_prior",
    "generate",
    "generate_images",
    "inpaint",
    "inpaint_files",
    "insert_frames",
    "inspect_file",
    "interpolate",
    "list_models",
    "list_recipes",
    "load",
    "plan_training",
    "predict_frames",
    "pull",
    "push",
    "read",
    "read_preview",
    "recipe",
    "reconstruct_files",
    "reconstruct_frames",
    "register_pillow",
    "run_demo",
    "search",
    "train",
    "transform",
    "tune",
    "verify_files",
]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'isthmus' has no attribute '{name}'")
    value: object = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
