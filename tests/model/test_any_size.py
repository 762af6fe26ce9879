"""What a user holds: images of any size and kind in, the same kind and size out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import CapabilityError, DataError
from isthmus.model import allocation
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.code import Code
from isthmus.model.recipe import Recipe

from .cases import model_of, pictures

GRIDS = {
    "conv": ["backbone.width=4", "backbone.blocks=1"],
    "reflect": ["backbone.width=4", "backbone.blocks=1", "backbone.padding=reflect"],
    "learned": ["backbone.width=4", "backbone.blocks=1", "positions=learned", "positions.channels=2"],
    "pool": ["backbone.width=4", "backbone.blocks=0", "backbone.down=pool", "backbone.up=nearest"],
    "stacked": ["backbone=stacked", "backbone.width=4-4", "positions=learned", "positions.channels=2"],
    "stacked pool": ["backbone=stacked", "backbone.width=4", "backbone.down=pool", "backbone.up=nearest"],
    "attention": ["backbone=attention", "backbone.width=8", "backbone.heads=2", "positions=sinusoidal"],
    "filters": ["backbone=filters", "backbone.side=9"],
}
VECTORS = {
    "conv": ["backbone.width=4", "backbone.blocks=1"],
    "dense": ["backbone=dense", "backbone.width=8"],
    "stacked": ["backbone=stacked", "backbone.width=4-4"],
    "recurrent": ["backbone=recurrent", "backbone.width=8"],
    "attention": ["backbone=attention", "backbone.width=8", "backbone.heads=2", "positions=sinusoidal"],
}
MODELS: dict[tuple[str, str, int], Autoencoder] = {}


def ready(name: str, code: str, channels: int = 1) -> Autoencoder:
    key = (name, code, channels)
    if key not in MODELS:
        chosen = (GRIDS if "@" in code else VECTORS)[name]
        MODELS[key] = model_of(Recipe(code=code).with_settings(chosen), (16, 16), channels).eval()
    return MODELS[key]


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("stride", [2, 8])
@given(height=st.integers(1, 40), width=st.integers(1, 40))
@settings(max_examples=15)
def test_a_grid_code_takes_any_size(name: str, stride: int, height: int, width: int) -> None:
    model = ready(name, f"3@{stride}")
    images = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(1))
    code = model.encode(images)
    assert code.values.shape == (2, 3, -(-height // stride), -(-width // stride))
    assert code.size == (height, width)
    decoded = model.decode(code)
    assert decoded.shape == images.shape
    torch.testing.assert_close(decoded, model.reconstruct(images))


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1), (33, 47), (16, 16), (100, 3)])
@pytest.mark.parametrize("name", GRIDS)
def test_awkward_sizes(name: str, size: tuple[int, int]) -> None:
    model = ready(name, "3@8")
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 1), dtype=np.uint8)
    assert model.decode(model.encode(images)).shape == images.shape


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("size", [(16, 16), (1, 1), (7, 50), (33, 47)])
def test_a_vector_code_resizes_and_gives_the_size_back(name: str, size: tuple[int, int]) -> None:
    model = ready(name, "5")
    images = pictures(3, size)
    code = model.encode(images)
    assert code.values.shape == (3, 5)
    decoded = model.decode(code)
    assert decoded.shape == images.shape
    torch.testing.assert_close(decoded, model.reconstruct(images))
    assert 0 <= float(decoded.min()) <= float(decoded.max()) <= 1


ARRAYS: list[Any] = [
    *(np.zeros((9, 11), kind) for kind in (np.uint8, np.uint16, np.float16, np.float32, np.float64)),
    np.zeros((9, 11, 1), np.uint8),
    np.zeros((2, 9, 11), np.float32),
    np.zeros((2, 9, 11, 1), np.uint16),
    *(torch.zeros(2, 1, 9, 11, dtype=kind) for kind in (torch.uint8, torch.float32, torch.bfloat16)),
]


@pytest.mark.parametrize("code", ["5", "3@2"])
@pytest.mark.parametrize("images", ARRAYS, ids=lambda a: f"{type(a).__name__}-{a.dtype}-{a.ndim}")
def test_what_goes_in_as_one_kind_comes_back_as_that_kind(code: str, images: Any) -> None:
    model = ready("conv", code)
    for result in (model.reconstruct(images), model.decode(model.encode(images))):
        assert type(result) is type(images)
        assert result.dtype == images.dtype
        assert result.shape == images.shape


def test_integers_of_both_widths_and_floats_mean_the_same_image() -> None:
    model = ready("conv", "5")
    levels = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)
    codes = [
        model.encode(images).values
        for images in (
            levels,
            levels.astype(np.uint16) * 257,
            levels / 255,
            (levels / 255).astype(np.float32),
        )
    ]
    for other in codes[1:]:
        np.testing.assert_allclose(other, codes[0], atol=1e-5)
    tensor = model.encode(torch.from_numpy(levels).permute(0, 3, 1, 2)).values
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), codes[0], atol=1e-5)


def test_encode_is_deterministic_and_does_not_depend_on_the_batch_or_training_mode() -> None:
    model = model_of(
        Recipe(code="4").with_settings(["bottleneck=gaussian", "backbone.width=4", "backbone.norm=batch"]),
        (16, 16),
    )
    images = pictures(5, (16, 16))
    model.train()
    model.trace(images, torch.Generator())
    first = model.encode(images).values
    assert model.training
    assert torch.equal(model.encode_batch(images), torch.as_tensor(first))
    assert torch.equal(model.eval().encode_batch(images), torch.as_tensor(first))
    alone = torch.cat([torch.as_tensor(model.encode(i[None]).values) for i in images])
    torch.testing.assert_close(alone, torch.as_tensor(first), atol=1e-5, rtol=1e-4)


def test_many_images_are_taken_in_several_passes_without_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = ready("conv", "3@2")
    images = pictures(7, (16, 16))
    at_once = model.reconstruct(images)
    monkeypatch.setattr("isthmus.model.tensors.PIXELS_PER_PASS", 600)
    torch.testing.assert_close(model.reconstruct(images), at_once)
    torch.testing.assert_close(model.decode(model.encode(images)), at_once)


def test_a_code_is_an_array_for_numpy() -> None:
    model = ready("conv", "3@2")
    for images in (pictures(2, (16, 16)), pictures(2, (16, 16)).permute(0, 2, 3, 1).numpy()):
        code = model.encode(images)
        assert len(code) == 2
        assert np.asarray(code).shape == (2, 3, 8, 8)
        assert np.asarray(code, dtype=np.float64).dtype == np.float64
        assert np.array(code, copy=True) is not code.values
        assert code.flat().shape == (2, 3 * 8 * 8)
        assert np.array_equal(code.flat()[1], np.asarray(code)[1].reshape(-1))


@pytest.mark.parametrize(
    ("code", "shape", "message"),
    [("5", (2, 4), "(N, 5)"), ("5", (5,), "(N, 5)"), ("5", (2, 5, 1, 1), "(N, 5)"),
     ("3@2", (2, 4, 8, 8), "(N, 3, 8, 8)"), ("3@2", (2, 3), "(N, 3, 8, 8)")],
)  # fmt: skip
def test_numbers_of_another_shape_are_no_code_of_this_model(
    code: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        ready("conv", code).decode(np.zeros(shape, np.float32))
    assert message in caught.value.message


def test_a_code_of_another_model_is_refused() -> None:
    code = ready("conv", "3@2").encode(pictures(2, (16, 16)))
    with pytest.raises(DataError, match="has shape"):
        ready("conv", "3@8").decode(code)


def test_bare_numbers_decode_to_float_images() -> None:
    decoded = ready("conv", "3@8").decode(np.zeros((2, 3, 4, 5), np.float32))
    assert decoded.shape == (2, 32, 40, 1)
    assert decoded.dtype == np.float32
    assert ready("conv", "5").decode(torch.zeros(2, 5)).shape == (2, 1, 16, 16)
    assert ready("conv", "5").decode(np.zeros((2, 5))).shape == (2, 16, 16, 1)


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 1)])
def test_a_code_of_one_image_can_hold_several(shape: tuple[int, ...]) -> None:
    """Interpolation puts many codes into the frame of one."""
    model = ready("conv", "5")
    code = model.encode(np.zeros(shape, np.uint8))
    several: Code = code.with_values(np.zeros((4, 5), np.float32))
    decoded = model.decode(several)
    assert decoded.shape == (4, *shape)
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize(("channels", "given", "words"), [(1, 3, ["gray", "RGB"]), (3, 1, ["RGB", "gray"])])
def test_gray_and_colour_are_not_confused(channels: int, given: int, words: list[str]) -> None:
    model = ready("conv", "5", channels)
    for ask in (model.encode, model.reconstruct):
        with pytest.raises(DataError) as caught:
            ask(np.zeros((2, 16, 16, given), np.uint8))
        assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_images_of_several_channels(channels: int) -> None:
    model = ready("conv", "3@2", channels)
    images = np.random.default_rng(0).random((2, 11, 9, channels), dtype=np.float32)
    assert model.decode(model.encode(images)).shape == images.shape


@pytest.mark.parametrize(
    "bad", [np.full((1, 4, 4, 1), np.nan), np.zeros((1, 0, 4, 1)), np.zeros((4, 4), int)]
)
def test_what_is_no_image_is_refused(bad: Any) -> None:
    with pytest.raises(DataError):
        ready("conv", "5").encode(bad)


def test_the_output_range_must_fit_the_objective() -> None:
    linear = Recipe(code="5").with_settings(["backbone.width=4", "backbone.output=linear"])
    assert build(linear, channels=1, size=(16, 16)).reconstruct(pictures(1)).shape == (1, 1, 12, 12)
    with pytest.raises(CapabilityError, match=r"\[0, 1\]"):
        build(linear.with_settings(["objective.image=bce"]), channels=1, size=(16, 16))


def test_the_first_weights_depend_on_the_seed_alone() -> None:
    recipe = Recipe(code="5").with_settings(["backbone.width=4"])
    states = []
    for seed, around in ((3, 1), (3, 2), (4, 1)):
        torch.manual_seed(around)
        states.append(build(recipe, channels=1, size=(16, 16), seed=seed).state_dict())
        drawn = torch.rand(3)
        torch.manual_seed(around)
        assert torch.equal(torch.rand(3), drawn), "building a model moved the caller's random numbers"
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_an_image_too_large_for_the_memory_is_refused_before_it_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allocation, "memory_bytes", lambda: 64 << 20)
    image = np.zeros((2100, 2000), np.uint8)
    model = ready("conv", "3@8")
    for use in (model.encode, model.reconstruct):
        with pytest.raises(DataError, match="an image of 2100×2000 pixels at a time would take about"):
            use(image)
    with pytest.raises(DataError, match="give smaller pieces"):
        model.decode(np.zeros((1, 3, 263, 250), np.float32))
    # A vector code's network sees its own small canvas.
    assert ready("conv", "3").reconstruct(image).shape == image.shape


@pytest.mark.parametrize("backbone", ["conv", "attention"])
def test_more_is_asked_for_wider_networks_and_for_training(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(recipe: Recipe, has: int, *, backward: bool = False) -> bool:
        monkeypatch.setattr(allocation, "memory_bytes", lambda: has)
        try:
            allocation.check_memory(recipe.backbone, recipe.geometry, (1, 3, 4000, 4000), backward=backward)
        except DataError:
            return True
        return False

    narrow = Recipe(code="8@8").with_settings([f"backbone={backbone}", "backbone.width=32"])
    wide = narrow.with_settings(["backbone.width=256"])
    needed = int(16e6 * narrow.backbone.bytes_per_pixel(narrow.geometry, 3))
    assert not refused(narrow, needed)
    assert refused(narrow, needed - 1)
    assert refused(wide, needed)
    assert refused(narrow, needed, backward=True)
