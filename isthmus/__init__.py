"""Isthmus: train one autoencoder on your images and use it for everything autoencoders are good for.

    import isthmus
    model = isthmus.train("photos/", recipe="conv")
    code = model.encode(images)

Names are looked up on first use (PEP 562), so that `import isthmus` costs nothing and imports no torch.
A public name is never also the name of a sub-module: importing the sub-module would replace the function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from isthmus.errors import IsthmusError
from isthmus.version import __version__

if TYPE_CHECKING:
    from isthmus.api.anomaly_detection import anomalies
    from isthmus.api.augmentation import augment
    from isthmus.api.code_directions import find_direction, transform
    from isthmus.api.code_maps import code_map
    from isthmus.api.comparison import compare
    from isthmus.api.data_audit import audit
    from isthmus.api.demonstration import run_demo
    from isthmus.api.embedding import embed
    from isthmus.api.evaluation import evaluate
    from isthmus.api.explanation import explain
    from isthmus.api.frame_sequences import (
        fill_frames,
        fit_motion,
        insert_frames,
        predict_frames,
        reconstruct_frames,
    )
    from isthmus.api.sampling import fit_prior, generate, interpolate
    from isthmus.api.training import describe_training, plan_training, train
    from isthmus.api.tuning import tune
    from isthmus.codec.api import compress, decompress
    from isthmus.codec.fit import fit_tables as fit_codec
    from isthmus.codec.plugin import register_pillow
    from isthmus.deprecated import evaluate_model, generate_images
    from isthmus.estimator import ImageAutoencoder
    from isthmus.features.api import classify, cluster, search
    from isthmus.images.reading import read
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.model.export.onnx import export_onnx
    from isthmus.model.hub import pull, push
    from isthmus.model.loading import load
    from isthmus.model.recipe import Recipe
    from isthmus.model.recipes import recipe
    from isthmus.restoration.denoise import denoise
    from isthmus.restoration.inpaint import inpaint
    from isthmus.training.diagnosis.diagnose import diagnose

__all__ = [
    "Autoencoder",
    "ImageAutoencoder",
    "IsthmusError",
    "Recipe",
    "__version__",
    "anomalies",
    "audit",
    "augment",
    "classify",
    "cluster",
    "code_map",
    "compare",
    "compress",
    "decompress",
    "denoise",
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
    "insert_frames",
    "interpolate",
    "load",
    "plan_training",
    "predict_frames",
    "pull",
    "push",
    "read",
    "recipe",
    "reconstruct_frames",
    "register_pillow",
    "run_demo",
    "search",
    "train",
    "transform",
    "tune",
]

_HOMES = {
    "Autoencoder": "isthmus.model.autoencoder:Autoencoder",
    "ImageAutoencoder": "isthmus.estimator:ImageAutoencoder",
    "Recipe": "isthmus.model.recipe:Recipe",
    "audit": "isthmus.api.data_audit:audit",
    "explain": "isthmus.api.explanation:explain",
    "export_onnx": "isthmus.model.export.onnx:export_onnx",
    "pull": "isthmus.model.hub:pull",
    "push": "isthmus.model.hub:push",
    "tune": "isthmus.api.tuning:tune",
    "diagnose": "isthmus.training.diagnosis.diagnose:diagnose",
    "denoise": "isthmus.restoration.denoise:denoise",
    "compare": "isthmus.api.comparison:compare",
    "evaluate": "isthmus.api.evaluation:evaluate",
    "evaluate_model": "isthmus.deprecated:evaluate_model",
    "inpaint": "isthmus.restoration.inpaint:inpaint",
    "anomalies": "isthmus.api.anomaly_detection:anomalies",
    "classify": "isthmus.features.api:classify",
    "cluster": "isthmus.features.api:cluster",
    "embed": "isthmus.api.embedding:embed",
    "run_demo": "isthmus.api.demonstration:run_demo",
    "search": "isthmus.features.api:search",
    "compress": "isthmus.codec.api:compress",
    "decompress": "isthmus.codec.api:decompress",
    "fit_codec": "isthmus.codec.fit:fit_tables",
    "augment": "isthmus.api.augmentation:augment",
    "find_direction": "isthmus.api.code_directions:find_direction",
    "fit_prior": "isthmus.api.sampling:fit_prior",
    "generate": "isthmus.api.sampling:generate",
    "generate_images": "isthmus.deprecated:generate_images",
    "code_map": "isthmus.api.code_maps:code_map",
    "fill_frames": "isthmus.api.frame_sequences:fill_frames",
    "fit_motion": "isthmus.api.frame_sequences:fit_motion",
    "insert_frames": "isthmus.api.frame_sequences:insert_frames",
    "predict_frames": "isthmus.api.frame_sequences:predict_frames",
    "reconstruct_frames": "isthmus.api.frame_sequences:reconstruct_frames",
    "interpolate": "isthmus.api.sampling:interpolate",
    "transform": "isthmus.api.code_directions:transform",
    "load": "isthmus.model.loading:load",
    "read": "isthmus.images.reading:read",
    "recipe": "isthmus.model.recipes:recipe",
    "register_pillow": "isthmus.codec.plugin:register_pillow",
    "describe_training": "isthmus.api.training:describe_training",
    "plan_training": "isthmus.api.training:plan_training",
    "train": "isthmus.api.training:train",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'isthmus' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    value: object = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
