"""What is fitted to a model later travels in its file and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import isthmus
from isthmus.errors import CapabilityError, ModelFileError
from isthmus.model.attachments import attach, attached, detach
from isthmus.model.file import read_file, read_header, save

from .cases import model_of, pictures, small


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = model_of(small("dense"), (12, 12), 3)
    save(model, tmp_path / "model.safetensors", bits=16)
    return tmp_path / "model.safetensors"


def test_an_attachment_in_a_file_comes_back_and_the_network_keeps_every_bit(path: Path) -> None:
    before, _ = read_file(path)
    tensors = {"means": torch.randn(3, 4), "layers.0.weight": torch.randn(2, 2), "count": torch.tensor([7])}
    attach(path, "prior/mixture", tensors, {"components": 3})
    attach(path, "readout", {"w": torch.ones(1)}, {})
    attachment = attached(isthmus.load(path), "prior/mixture")
    assert attachment.facts == {"components": 3}
    assert set(attachment.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(attachment.tensors[name], tensor)
    after, _ = read_file(path)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor)
        assert after[name].dtype == tensor.dtype


def test_decoding_does_not_depend_on_it(path: Path) -> None:
    images = pictures(3, (12, 12), 3)
    before = isthmus.load(path).reconstruct(images)
    attach(path, "prior", {"x": torch.zeros(2)}, {})
    assert torch.equal(isthmus.load(path).reconstruct(images), before)


def test_the_same_name_is_replaced_and_can_be_removed(path: Path) -> None:
    empty = path.read_bytes()
    attach(path, "prior", {"old": torch.zeros(2)}, {"kind": "old"})
    attach(path, "prior", {"new": torch.zeros(3)}, {"kind": "new"})
    attachment = attached(isthmus.load(path), "prior")
    assert attachment.facts == {"kind": "new"}
    assert list(attachment.tensors) == ["new"]
    detach(path, "prior")
    assert "prior" not in read_header(path)["attachments"]
    assert path.read_bytes() == empty


def test_in_memory_it_is_written_with_the_model(path: Path, tmp_path: Path) -> None:
    model = isthmus.load(path)
    attach(model, "readout", {"w": torch.ones(2)}, {"classes": ["a", "b"]})
    model.save(tmp_path / "other.safetensors")
    loaded = isthmus.load(tmp_path / "other.safetensors")
    assert attached(loaded, "readout").facts == {"classes": ["a", "b"]}
    detach(loaded, "readout")
    assert not loaded.attachments


def test_what_is_missing_or_misnamed_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="no 'prior' attached"):
        attached(isthmus.load(path), "prior")
    with pytest.raises(ValueError, match="cannot name"):
        attach(path, "a.b", {}, {})
    with pytest.raises(ModelFileError, match="no model file"):
        attach(tmp_path / "none.safetensors", "prior", {}, {})
