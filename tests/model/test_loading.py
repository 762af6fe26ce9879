"""Loading: nothing is drawn at random first, and what is loaded no longer depends on the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import isthmus
from isthmus.model.allocation import at_most, room_for
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.model.file import Bits, save

from .cases import model_of, small

INITIALISERS = (nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_)


@pytest.mark.parametrize("initialise", [torch.Tensor.uniform_, torch.Tensor.normal_, *INITIALISERS])
def test_a_network_made_for_stored_weights_is_not_initialised(initialise: object) -> None:
    assert callable(initialise)
    weights = torch.full((3, 4), 7.0)
    with room_for([torch.zeros(100)]):
        same = initialise(weights)
    assert same is weights
    assert torch.equal(weights, torch.full((3, 4), 7.0))
    with at_most(1000):  # which only limits
        initialise(weights)
    assert not torch.equal(weights, torch.full((3, 4), 7.0))


@pytest.mark.parametrize("draw", [torch.rand, torch.randn])
def test_new_random_tensors_are_not_drawn(draw: object) -> None:
    assert callable(draw)
    with room_for([torch.zeros(100)]):
        made = draw(3, 4)
    assert made.shape == (3, 4)
    assert not made.any()


def test_the_first_weights_of_a_loaded_model_are_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    model_of(small("conv"), (12, 12), 3, seed=0).save(path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("drawn")

    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    with pytest.raises(AssertionError, match="drawn"):
        nn.Conv2d(2, 2, 1)
    isthmus.load(path)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_a_loaded_model_does_not_change_with_its_file(bits: Bits, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = model_of(small("conv"), (12, 12), 3, seed=0)
    model.attachments["made-up"] = Attachment({"n": 1}, {"numbers": torch.arange(1000)})
    save(model, path, bits=bits)
    loaded = isthmus.load(path)
    before = _copy(loaded)
    length = path.stat().st_size
    with path.open("r+b") as stream:  # in place: whatever still lies in a map of the file would change
        stream.seek(length // 8)
        stream.write(b"\x55" * (length - length // 8))
    assert all(torch.equal(value, before[name]) for name, value in _copy(loaded).items())


def _copy(model: Autoencoder) -> dict[str, torch.Tensor]:
    attached = model.attachments["made-up"].tensors
    return {name: tensor.clone() for name, tensor in {**model.state_dict(), **attached}.items()}
