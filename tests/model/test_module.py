"""A model is an ordinary nn.Module: forward, losses, parts alone, a table of layers, training on."""

from pathlib import Path

import numpy as np
import pytest
import torch

import isthmus
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.history import TrainingHistory
from isthmus.model.recipes import FAMILIES

from .cases import small

NAMES = list(FAMILIES)


def made(name: str, size: tuple[int, int] = (16, 16), channels: int = 3) -> Autoencoder:
    return build(small(name), channels=channels, size=size)


def images(size: tuple[int, int] = (16, 16), channels: int = 3) -> torch.Tensor:
    return torch.rand((4, channels, *size), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_the_forward_pass_is_the_reconstruction_with_gradients(name: str) -> None:
    model = made(name).eval()
    x = images().requires_grad_()
    y = model(x)
    draws = model.recipe.backbone.samples  # the pass leaves out the detail, and with it all that is trained
    assert torch.allclose(y.clamp(0, 1), model.reconstruct_batch(x.detach()), atol=1e-6) != draws
    y.square().mean().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all()) and bool(x.grad.any())
    assert draws or any(p.grad is not None and bool(p.grad.any()) for p in model.decoder.parameters())


@pytest.mark.parametrize("code", ["8", "8@4"])
def test_the_forward_pass_takes_other_sizes(code: str) -> None:
    model = build(small("conv", code), channels=3, size=(16, 16))
    assert model(images((20, 24))).shape == (4, 3, 20, 24)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_a_sum_of_named_terms(name: str) -> None:
    model = made(name).train()
    torch.manual_seed(3)
    losses = model.loss(images())
    assert {"total"} < losses.keys()
    assert not any(value.requires_grad for term, value in losses.items() if term != "total")
    losses["total"].backward()
    torch.manual_seed(3)
    again = model.loss(images())
    assert all(torch.equal(value, again[term]) for term, value in losses.items())


def test_the_weight_of_a_term_that_warms_up_follows_the_progress() -> None:
    model = made("variational")
    torch.manual_seed(0)
    start = model.loss(images(), progress=0.0)
    assert torch.allclose(start["total"], start["bce"])
    torch.manual_seed(0)
    assert model.loss(images())["total"] > start["total"]


@pytest.mark.parametrize("code", ["8", "8@4"])
@pytest.mark.parametrize("name", ["conv", "attention"])
def test_encoder_and_decoder_are_callable_alone(name: str, code: str) -> None:
    model = build(small(name, code), channels=3, size=(16, 16)).eval()
    with torch.no_grad():
        raw = model.decoder(model.encoder(images()).h)
        assert torch.allclose(model(images()), torch.sigmoid(raw + model.offset), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_layers_add_up_to_the_model(name: str) -> None:
    model = made(name)
    table = model.layers()
    assert table.parameters == sum(row.parameters for row in table)
    assert table.parameters == sum(p.numel() for p in model.parameters())
    # Principal components, an encoder of their own, are found and not trained.
    parts = {part for part in ("encoder", "decoder") if any(True for _ in getattr(model, part).parameters())}
    assert "decoder" in parts and parts <= {row.part for row in table}
    assert f"{table.parameters:,}" in str(table).splitlines()[-1]


def test_the_layers_of_a_model_show_what_each_gives() -> None:
    model = build(small("dense"), channels=1, size=(6, 4))
    assert model.training
    assert [row.shape for row in model.layers() if (row.part, row.name) == ("encoder", "last")] == [(8,)]
    assert model.training


def test_a_loaded_model_can_be_trained_on(tmp_path: Path) -> None:
    made("conv").save(tmp_path / "model.safetensors")
    model = isthmus.load(tmp_path / "model.safetensors")
    model.train()
    model.requires_grad_()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        total = model.loss(images())["total"]
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < losses[0]


def test_the_history_of_a_model_survives_its_file_and_is_drawn(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    path = tmp_path / "model.safetensors"
    model = isthmus.train(pixels, recipe="dense", code="4", steps=6, precision="float32", out=path)
    history = isthmus.load(path).history
    assert history.steps.tolist() == model.history.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert history.validation.tolist() == [row["validation"] for row in model.summary["history"]]
    assert history.train.tolist() == history.terms["train_autoencoder"].tolist()
    (axes,) = history.plot().axes
    assert [line.get_label() for line in axes.lines] == ["training", "validation"]


def test_a_history_without_losses_is_drawn_all_the_same() -> None:
    history = TrainingHistory.from_rows([{"step": 3.0}])
    assert np.isnan(history.train).all() and np.isnan(history.validation).all()
    assert not history.plot().axes[0].lines
    assert len(build(small("conv"), channels=1, size=(8, 8)).history) == 0
