"""The scripts that train the shipped restoration networks: they resume, and their models restore."""

from __future__ import annotations

import importlib.util
import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from skimage import data

import isthmus
from isthmus.model.autoencoder import Autoencoder

TOOLS = Path(__file__).parents[2] / "tools"
SMALL = ["backbone.width=8-8-8", "backbone.blocks=1", "code=8@8"]


def load_script(name: str = "train_real_denoiser") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    return script


@pytest.mark.slow
def test_twenty_steps_resume_exactly_and_denoise(photos: Path, tmp_path: Path) -> None:
    script = load_script()
    out = tmp_path / "real.safetensors"

    def run(steps: int, out: Path, *, resume: bool = False) -> Autoencoder:
        # The learning rate follows the elapsed time, which is no part of the budget here.
        options = script.Options(minutes=1e9, batch=2, crop=32, max_steps=steps, rate=2e-3)
        model = script.network(SMALL, None, crop=32)
        torch.set_num_threads(1)
        script.train(photos, out, script.Training(model, options), resume=resume)
        return isthmus.load(out)

    unbroken = run(20, out)
    parts = tmp_path / "parts.safetensors"
    run(12, parts)
    continued = run(20, parts, resume=True)
    assert unbroken.summary["steps"] == continued.summary["steps"] == 20
    for name, value in unbroken.state_dict().items():
        assert torch.allclose(continued.state_dict()[name], value, atol=1e-5), name
    assert any(bool(p.any()) for n, p in unbroken.named_parameters() if n.startswith("decoder.last"))
    gray = np.random.default_rng(0).integers(0, 256, (40, 33), np.uint8)
    clean = isthmus.denoise(np.repeat(gray[..., None], 3, 2), model=unbroken)
    assert clean.shape == (40, 33, 3) and (clean == clean[..., :1]).all()  # equal channels stay equal
    assert isthmus.denoise(gray, model=unbroken).shape == gray.shape


@pytest.mark.slow
def test_twenty_steps_without_the_blocks_of_jpeg(photos: Path, tmp_path: Path) -> None:
    """From the weights of a denoiser, whose map of the noise level becomes a bias."""
    script = load_script()  # the other script imports it by this name
    dejpeg = load_script("train_dejpeg")
    start = isthmus.load("photo-denoise-colour")
    start.save(tmp_path / "start.safetensors")
    network = dejpeg.dejpeg_network([], tmp_path / "start.safetensors", crop=32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    out = tmp_path / "dejpeg.safetensors"
    torch.set_num_threads(1)
    options = script.Options(minutes=1e9, batch=2, crop=32, max_steps=20, rate=1e-4)
    script.train(photos, out, script.Training(network, options))
    model = isthmus.load(out)
    assert model.summary["steps"] == 20
    assert any(not torch.equal(before[name], value) for name, value in model.state_dict().items())
    photo = data.astronaut()[:96, 64:160]
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=20)
    coded = np.asarray(Image.open(buffer))
    restored = isthmus.denoise(coded, model=model)

    def error(image: npt.NDArray[np.uint8]) -> float:
        return float(((image.astype(np.float64) - photo) ** 2).mean())

    assert error(restored) < 0.95 * error(coded)


def test_blocks_that_the_start_lacks_change_nothing_at_first(tmp_path: Path) -> None:
    load_script()
    white = load_script("train_white_denoiser")
    start = white.white_denoiser(SMALL, None, channels=1, crop=32)
    with torch.no_grad():
        for parameter in start.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    start.save(tmp_path / "start.safetensors")
    deeper = white.white_denoiser(
        [*SMALL, "backbone.blocks=3"], tmp_path / "start.safetensors", channels=1, crop=32
    )
    assert sum(p.numel() for p in deeper.parameters()) > sum(p.numel() for p in start.parameters())
    image = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    outputs = [
        model.eval().trace(image, torch.Generator().manual_seed(2)).output for model in (start, deeper)
    ]
    assert not torch.equal(outputs[0], image)
    torch.testing.assert_close(outputs[1], outputs[0], atol=0, rtol=0)


@pytest.mark.slow
def test_twenty_steps_of_a_deeper_gray_denoiser_with_a_teacher(photos: Path, tmp_path: Path) -> None:
    script = load_script()
    white = load_script("train_white_denoiser")
    start = isthmus.load("photo-denoise-gray")
    start.save(tmp_path / "start.safetensors")
    settings = ["backbone.blocks=3"]
    model = white.white_denoiser(settings, tmp_path / "start.safetensors", channels=1, crop=32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.set_num_threads(1)
    out = tmp_path / "gray.safetensors"
    options = script.Options(minutes=1e9, batch=2, crop=32, max_steps=20, rate=1e-4)
    script.train(photos, out, white.Distillation(model, options, start))
    trained = isthmus.load(out)
    assert trained.channels == 1 and trained.summary["steps"] == 20
    new = "decoder.stages.2.2.layers.3.weight"  # of a block that the start lacks
    assert not before[new].any() and trained.state_dict()[new].any()
    photo = np.asarray(Image.fromarray(data.astronaut()).convert("L"))[:96, 64:160] / np.float32(255)
    noise = np.random.default_rng(0).normal(0, 25 / 255, photo.shape).astype(np.float32)
    errors = [
        float(np.square(isthmus.denoise(photo + noise, sigma=25, model=network) - photo).mean())
        for network in (trained, start)
    ]
    assert errors[0] < 1.05 * errors[1] < 0.25 * float(np.square(noise).mean())


@pytest.mark.slow
def test_a_model_can_be_the_start(photos: Path, tmp_path: Path) -> None:
    script = load_script()
    first = script.network(SMALL, None, crop=32)
    first.save(tmp_path / "first.safetensors")
    again = script.network([], tmp_path / "first.safetensors", crop=32)
    for name, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    options = script.Options(minutes=1e9, batch=2, crop=32, max_steps=3, rate=2e-3)
    script.train(photos, tmp_path / "second.safetensors", script.Training(again, options))
    assert isthmus.load(tmp_path / "second.safetensors").recipe == first.recipe


def test_the_loss_does_not_follow_images_without_noise_at_first() -> None:
    script = load_script()
    training = script.Training(script.network(SMALL, None, crop=32), script.Options(minutes=10))
    assert training.psnr_ceiling() == script.PSNR_CEILING[0]
    training.seconds = 600
    assert training.psnr_ceiling() == script.PSNR_CEILING[1]
    assert training.rate_factor() == pytest.approx(0)
