"""Weights of 8 and 16 bits in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import isthmus
from isthmus.errors import ModelFileError
from isthmus.model.file import STEP, read_file, read_header, save, write_file

from .cases import model_of, pictures, small


@pytest.mark.parametrize(("bits", "most"), [(8, 1 / 250), (16, 1 / 2000)])
@pytest.mark.parametrize("family", ["conv", "dense", "attention"])
def test_a_narrow_file_is_smaller_and_nearly_the_same_model(
    tmp_path: Path, family: str, bits: int, most: float
) -> None:
    model = model_of(small(family), (12, 12), 3)
    model.save(tmp_path / "wide.safetensors")
    save(model, tmp_path / "narrow.safetensors", bits=bits)  # type: ignore[arg-type]
    assert (tmp_path / "narrow.safetensors").stat().st_size < (tmp_path / "wide.safetensors").stat().st_size
    again = isthmus.load(tmp_path / "narrow.safetensors")
    for name, tensor in model.state_dict().items():
        stored = again.state_dict()[name]
        assert stored.dtype == tensor.dtype
        assert float((stored - tensor).abs().max()) <= most * float(tensor.abs().max()) + 1e-7
    images = pictures(2, (12, 12), 3)
    assert float((again.reconstruct(images) - model.reconstruct(images)).abs().max()) < 0.05


def test_eight_bits_written_again_are_the_same(tmp_path: Path) -> None:
    save(model_of(small("conv"), (12, 12), 3), tmp_path / "a.safetensors", bits=8)
    save(isthmus.load(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", bits=8)
    first, second = (read_file(tmp_path / f"{n}.safetensors")[0] for n in "ab")
    assert any(t.dtype == torch.int8 for t in first.values())
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-6, atol=0)


def test_steps_without_a_tensor_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(model_of(small("conv"), (12, 12), 3), path, bits=8)
    tensors, metadata = read_file(path)
    name = next(n for n in tensors if n.endswith(STEP))
    tensors[name] = tensors[name][:-1]
    write_file(path, tensors, metadata, force=True)
    with pytest.raises(ModelFileError, match="has no tensor that it fits"):
        isthmus.load(path)


def test_only_files_with_eight_bits_need_the_newer_format(tmp_path: Path) -> None:
    model = model_of(small("conv"), (12, 12), 3)
    for bits, number in ((32, 1), (16, 1), (8, 2)):
        save(model, tmp_path / "a.safetensors", bits=bits)  # type: ignore[arg-type]
        assert read_header(tmp_path / "a.safetensors")["format"] == number
