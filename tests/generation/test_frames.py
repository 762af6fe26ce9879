"""Dropped frames come back, motion is learned, and the next frames are foretold better than by copying."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import load_script

import isthmus
from isthmus.errors import CapabilityError, DataError, UsageError
from isthmus.generation.codes import encode_images
from isthmus.generation.dynamics import choose_known_frames, extrapolate, fit_dynamics, read_dynamics
from isthmus.generation.frames import split_sequences
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

from .models import discs, fresh


def swinging(count: int, frames: int = 14, side: int = 12, seed: int = 0) -> list[ImageSet]:
    """A disc on a circle, at its own pace in each sequence."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side]
    image_sets = []
    for _ in range(count):
        angle = random.uniform(0, 2 * np.pi) + random.uniform(0.3, 0.6) * np.arange(frames)
        y, x = side / 2 - 0.5 + 3 * np.sin(angle), side / 2 - 0.5 + 3 * np.cos(angle)
        apart = np.hypot(rows - y[:, None, None], columns - x[:, None, None])
        pixels = np.clip((2.5 - apart) * 255, 0, 255).astype(np.uint8)[..., None]
        image_sets.append(ImageSet(pixels, tuple(f"{t:03d}.png" for t in range(frames)), source="disc"))
    return image_sets


@functools.cache
def learned() -> Autoencoder:
    sequences = swinging(60)
    pixels = np.concatenate([np.asarray(sequence.pixels) for sequence in sequences])
    config = TrainConfig(steps=500, precision="float32", patience=0)
    model = train_model(pixels, config, recipe="dense", code="4", settings=["backbone.width=64"])
    fit_dynamics(model, [encode_images(model, sequence) for sequence in sequences], steps=500, width=64)
    return model


def error(made: np.ndarray, real: np.ndarray) -> float:
    return float(np.square(made.astype(float) - real.astype(float)).mean())


def test_learned_motion_beats_copying_and_blending() -> None:
    model = learned()
    for sequence in swinging(3, seed=9):
        real = np.asarray(sequence.pixels)
        filled = isthmus.fill_frames(model, sequence, range(1, 13, 2)).pixels
        assert np.array_equal(filled[::2], real[::2])
        blend = (real[0:12:2].astype(float) + real[2:14:2]) / 2
        assert error(filled[1:13:2], real[1:13:2]) < 0.6 * error(blend, real[1:13:2])
        foretold = isthmus.predict_frames(model, sequence.subset(range(12)), 2).pixels
        assert error(foretold, real[12:]) < 0.6 * error(np.stack([real[11]] * 2), real[12:])


def test_frames_of_another_size_than_the_models_keep_it() -> None:
    model, large = fresh(), swinging(1, side=19)[0]
    wide = ImageSet(np.pad(np.asarray(large.pixels), ((0, 0), (0, 0), (0, 6), (0, 0))), large.names)
    all_frames = wide.stack(range(len(wide)))
    filled = isthmus.fill_frames(model, wide, [3]).pixels
    assert filled.shape == (14, 19, 25, 1)
    assert np.array_equal(np.delete(filled, 3, 0), np.delete(all_frames, 3, 0))
    assert isthmus.insert_frames(model, wide, 1).pixels.shape == (27, 19, 25, 1)
    repeated = isthmus.predict_frames(model, wide, 1).pixels
    assert np.abs(repeated.astype(int) - model.reconstruct(wide.stack([13]))).max() <= 1


def test_motion_travels_in_the_file(tmp_path: Path) -> None:
    model, sequence = learned(), swinging(1)[0]
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert read_dynamics(again) is not None
    expected = isthmus.predict_frames(model, sequence, 3).pixels
    assert np.array_equal(isthmus.predict_frames(again, sequence, 3).pixels, expected)


def test_without_learning_codes_go_straight_and_a_prediction_repeats() -> None:
    model, sequence = fresh(), swinging(1)[0]
    assert read_dynamics(model) is None
    slow = isthmus.insert_frames(model, sequence.subset(range(3)), 3).pixels
    assert slow.shape == (9, 12, 12, 1)
    assert np.array_equal(slow[::4], sequence.stack(range(3)))
    codes = encode_images(model, sequence)
    middle = model.decode(torch.lerp(codes[0:1], codes[1:2], 0.5))
    assert np.abs(slow[2, ..., 0] / 255 - middle[0, 0].numpy()).max() < 0.01
    repeated = isthmus.predict_frames(model, sequence, 2).pixels
    assert np.abs(repeated.astype(int) - model.reconstruct(sequence.stack([13]))).max() <= 1


def test_the_straight_guess_is_linear_between_and_the_last_one_after() -> None:
    codes = torch.tensor([[[1.0], [4.0], [0.0], [0.0]]])
    assert float(extrapolate(codes, torch.tensor([[-1.0, 2, -2, 3]]))) == pytest.approx(2)
    assert float(extrapolate(codes, torch.tensor([[-1.0, -2, -3, -4]]))) == 1
    assert choose_known_frames([0, 1, 2, 4, 5], 3) == [2, 3, 1, 4]
    assert choose_known_frames([0, 1], 2) == [1, 0, 0, 0]
    assert choose_known_frames([0, 3], 1) == [0, 1, 0, 1]


def test_moving_images_drift_within_the_canvas() -> None:
    images = discs(5)
    make_moving_sequences = load_script("benchmarks/moving_digits.py").make_moving_sequences
    made = make_moving_sequences(images, 3, frames=15, side=30, objects=2, speed=(1, 3), seed=4)
    assert made.shape == (3, 15, 30, 30, 1)
    assert np.array_equal(
        made, make_moving_sequences(images, 3, frames=15, side=30, objects=2, speed=(1, 3), seed=4)
    )
    single_digit = make_moving_sequences(images, 6, frames=30, side=20, objects=1)
    light = single_digit.astype(float).sum((2, 3, 4))
    assert np.allclose(light, light[:, :1])
    with pytest.raises(ValueError, match="at most 8 pixels"):
        make_moving_sequences(images, 1, side=8)


def test_sub_folders_are_sequences() -> None:
    assert [len(part) for part in split_sequences(discs(10))] == [5, 5]
    plain = swinging(1)[0]
    assert split_sequences(plain) == [plain]


def test_what_is_no_sequence_is_said() -> None:
    model, sequence = fresh(), swinging(1)[0]
    with pytest.raises(UsageError, match="from 0 to 13"):
        isthmus.fill_frames(model, sequence, [14])
    with pytest.raises(UsageError, match="two frames must be known"):
        isthmus.fill_frames(model, sequence, range(1, 14))
    with pytest.raises(DataError, match="at least 9 frames"):
        fit_dynamics(model, [encode_images(model, sequence.subset(range(5)))], steps=1)
    with pytest.raises(CapabilityError, match="vector codes only"):
        fit_dynamics(fresh("4@4"), [], steps=1)
    assert isthmus.fill_frames(fresh("4@4"), sequence, [3, 4]).pixels.shape == (14, 12, 12, 1)
