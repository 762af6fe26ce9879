"""What `encode` and `reconstruct` take, and that nothing on another scale is encoded in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.model.autoencoder import Autoencoder

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return isthmus.load("photo-codec")


def test_one_image_of_every_kind_has_one_code(model: Autoencoder, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS[0]).save(path)
    code = model.encode(PIXELS[0]).values
    tensor = torch.from_numpy(PIXELS[:1]).permute(0, 3, 1, 2)
    with path.open("rb") as stream:
        for given in (
            path,
            str(path),
            path.read_bytes(),
            stream,
            Image.open(path),
            PIXELS[0].astype(">f8") / 255,
        ):
            np.testing.assert_allclose(model.encode(given).values, code, atol=1e-4)
    for same in (tensor, tensor.float().div(255).requires_grad_(), tensor.double() / 255):
        np.testing.assert_allclose(model.encode(same).values, code, atol=1e-4)


def test_sets_and_parts_of_sets(model: Autoencoder, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", PIXELS)
    codes = model.encode(PIXELS).values
    images = isthmus.read(PIXELS)
    for given in (
        images,
        list(images),
        tmp_path / "t.npy",
        [PIXELS[0], Image.fromarray(PIXELS[1]), PIXELS[2]],
        [PIXELS[:1], PIXELS[1:]],
        [PIXELS[row : row + 1] for row in range(3)],
    ):
        assert np.array_equal(model.encode(given).values, codes)
    assert np.array_equal(model.encode(f"{tmp_path}/t.npy[-1]").values, codes[2:])
    again = model.reconstruct(images)
    assert again.shape == PIXELS.shape and np.array_equal(again, model.reconstruct(PIXELS))
    with pytest.raises(DataError, match="different sizes"):
        model.encode([PIXELS[0], PIXELS[0, :8]])


@pytest.mark.parametrize("use", ["encode", "reconstruct"])
@pytest.mark.parametrize(
    ("given", "low", "high"),
    [(PIXELS[0] * 1.0, 0, 255), (PIXELS[0] / 127.5 - 1, -1, 1), (PIXELS[0].astype(np.int16), 0, 255)],
)
def test_other_scales_are_refused_and_mapped(
    model: Autoencoder, use: str, given: Any, low: float, high: float
) -> None:
    with pytest.raises(DataError) as caught:
        getattr(model, use)(given)
    assert f"range=({low}, {high})" in str(caught.value.hint)
    result = getattr(model, use)(given, range=(low, high))
    if use == "encode":
        np.testing.assert_allclose(result.values, model.encode(PIXELS[0]).values, atol=1e-4)
        result = model.decode(result)
    assert result.dtype == given.dtype
    expected = model.reconstruct(PIXELS[0] / 255) * (high - low) + low
    np.testing.assert_allclose(result, expected, atol=0.51 if given.dtype.kind == "i" else 1e-3)


def test_a_pillow_image_comes_back_as_one(model: Autoencoder) -> None:
    result = model.reconstruct(Image.fromarray(PIXELS[0]))
    assert isinstance(result, Image.Image)
    assert np.array_equal(np.asarray(result), model.reconstruct(PIXELS[0]))


def _mixed_files(folder: Path) -> dict[str, Path]:
    """A file for each thing that is not read as it is, by a word of the note that says so."""
    gray = Image.fromarray(PIXELS[0]).convert("RGBA")
    gray.putalpha(100)
    gray.save(folder / "alpha.png")
    pages = [Image.fromarray(page) for page in PIXELS]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    deep = PIXELS[0].astype(np.uint16) * 257
    (folder / "deep.ppm").write_bytes(b"P6 24 16 65535\n" + deep.astype(">u2").tobytes())
    return {"transparent": folder / "alpha.png", "several pages": folder / "pages.tif"}


@pytest.mark.parametrize("use", ["encode", "reconstruct"])
def test_what_is_left_out_of_a_file_is_logged_once(
    model: Autoencoder, use: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "isthmus")
    for word, path in _mixed_files(tmp_path).items():
        with path.open("rb") as stream, Image.open(path) as picture:
            for given in (path, path.read_bytes(), stream, picture, [path], isthmus.read(path)):
                caplog.clear()
                getattr(model, use)(given)
                assert sum(word in line for line in caplog.messages) == 1, (word, given)
    caplog.clear()
    (tmp_path / "broken.png").write_bytes(b"no image")
    getattr(model, use)([tmp_path / "broken.png", tmp_path / "alpha.png"])
    assert any("broken.png" in line for line in caplog.messages)
    caplog.clear()
    getattr(model, use)(PIXELS)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("shape", "call"),
    [
        ((3, 16, 24), "images[None] is one image"),
        ((1, 16, 24), "images[None] is one image"),
        ((16, 24), "images[None, None] is one gray image"),
        ((50, 16, 24), "images[:, None] is gray images"),
        ((16, 24, 3), "images.permute(2, 0, 1)[None] is one image"),
    ],
)
def test_a_tensor_without_all_axes_is_refused_with_the_call_that_adds_them(
    model: Autoencoder, shape: tuple[int, ...], call: str
) -> None:
    images = torch.rand(shape)
    uses = (model.encode, model.reconstruct, isthmus.read, isthmus.denoise, isthmus.compress, isthmus.audit)
    for use in uses:
        with pytest.raises(DataError) as caught:
            use(images)
        assert str(caught.value.hint).startswith(call), use
    eval(call.split(" is ")[0], {"images": images}).shape  # noqa: B018
    assert isthmus.read(eval(call.split(" is ")[0], {"images": images})).channels in (1, 3)
