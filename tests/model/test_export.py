"""What an ONNX file computes is what the model computes, at sizes the export never saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import OutputError
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import recipe

runtime = pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")


PARTS = ("encoder", "decoder")


def small(name: str, code: str, settings: dict[str, str], size: tuple[int, int]) -> Autoencoder:
    chosen = replace(recipe(name), code=code).with_settings(settings)
    return build(chosen, channels=1, size=size).eval().requires_grad_(False)


def run(path: str, given: np.ndarray) -> np.ndarray:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: given})
    return np.asarray(output)


def test_a_vector_code(tmp_path: Path) -> None:
    model = small("variational", "5", {"backbone.width": "4"}, (14, 11))
    encoder, decoder = isthmus.export_onnx(model, tmp_path / "m.onnx").files
    assert [Path(file.path).name for file in (encoder, decoder)] == ["m.encoder.onnx", "m.decoder.onnx"]
    assert encoder.shape == ("images", 1, 14, 11) and encoder.step is None
    images = np.random.default_rng(0).random((7, 1, 14, 11), np.float32)
    code = model.encode(torch.from_numpy(images))
    assert np.abs(run(encoder.path, images) - np.asarray(code)).max() < 1e-5
    again = model.decode(code)
    assert np.abs(run(decoder.path, np.asarray(code)) - again.numpy()).max() < 1e-5


def test_a_grid_code_at_any_size(tmp_path: Path) -> None:
    model = small("conv", "3@4", {"backbone.width": "4", "backbone.blocks": "1"}, (16, 16))
    encoder, decoder = isthmus.export_onnx(model, tmp_path / "m").files
    assert encoder.shape == ("images", 1, "rows", "columns") and encoder.step == 4
    images = np.random.default_rng(0).random((2, 1, 8, 36), np.float32)
    code = np.asarray(model.encode(torch.from_numpy(images)))
    assert np.abs(run(encoder.path, images) - code).max() < 1e-5
    assert run(decoder.path, code).shape == images.shape


def test_a_model_with_skips_is_one_file(tmp_path: Path) -> None:
    model = small("denoising", "8@4", {"backbone.width": "4", "backbone.blocks": "1"}, (16, 16))
    (exported,) = isthmus.export_onnx(model, tmp_path / "m.onnx").files
    assert exported.part == "whole" and Path(exported.path).name == "m.onnx"
    assert exported.shape[1] == 2  # the image and the noise level
    assert run(exported.path, np.full((1, 2, 12, 20), 0.5, np.float32)).shape == (1, 1, 12, 20)


def test_what_exists_is_kept(tmp_path: Path) -> None:
    model = small("dense", "2", {"backbone.width": "4"}, (6, 6))
    (tmp_path / "m.decoder.onnx").write_text("mine")
    with pytest.raises(OutputError, match="nothing was overwritten"):
        isthmus.export_onnx(model, tmp_path / "m.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.decoder.onnx"]


def test_files_are_named_after_the_model_file(tmp_path: Path) -> None:
    small("dense", "2", {"backbone.width": "4"}, (6, 6)).save(tmp_path / "m.safetensors")
    exported = isthmus.export_onnx(tmp_path / "m.safetensors")
    assert [file.path for file in exported.files] == [str(tmp_path / f"m.{part}.onnx") for part in PARTS]
    assert all(file.error <= exported.tolerance for file in exported.files)
    assert "m.decoder.onnx" in exported.table()
