"""Pictures for eyes are enlarged, by a given factor or so that small images can be seen; data never is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.images.reading import read_image

PICTURES = {
    "anomalies": ["anomalies", "photos.safetensors", "photos", "--normal", "photos"],
    "cluster": ["cluster", "photos.safetensors", "photos", "--clusters", "2", "--space", "features"],
    "search": ["search", "photos.safetensors", "photos", "--like", "photos/left/1.png"],
    "classify": ["classify", "photos.safetensors", "photos", "photos", "--few-labels", "2"],
    "explain": ["explain", "photos.safetensors", "photos/left/1.png", "--units", "2"],
    "map": ["map", "photos.safetensors", "photos", "--method", "pca"],
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_scale_enlarges_the_picture_of_every_use(name: str, here: Path) -> None:
    sides = {}
    for scale in (1, 3):
        words = [*PICTURES[name], "-o", f"{scale}.png", "-o", f"{scale}.json", "--scale", str(scale)]
        assert main([*words, "--quiet"]) == 0
        assert (here / f"{scale}.json").is_file()  # data beside the picture is not refused
        with Image.open(here / f"{scale}.png") as picture:
            sides[scale] = picture.height
    assert 1.2 * sides[1] < sides[3] <= 3.1 * sides[1]


@pytest.mark.usefixtures("here")
def test_pixels_of_small_images_become_whole_squares() -> None:
    result = isthmus.search("photos.safetensors", "photos", "photos/left/1.png", count=1)
    image = read_image("photos/left/1.png")[..., 0]
    for scale in (None, 4):
        sheet = np.asarray(Image.open(io.BytesIO(result.draw(scale))).convert("RGBA"))
        factor = scale or -(-128 // image.shape[0])
        cell = sheet[-1 - factor * image.shape[0] : -1, 1 : 1 + factor * image.shape[1], 0]
        assert np.array_equal(cell, image.repeat(factor, 0).repeat(factor, 1))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("scale", "factor"), [(None, 10), (2, 2)])
def test_comparisons_of_small_images_are_enlarged_and_results_are_not(scale: int | None, factor: int) -> None:
    photo = "photos/left/1.png"  # of 12×12 pixels
    isthmus.denoise_files(photo, out="clean.png", sigma=10, compare=True, scale=scale)
    isthmus.inpaint_files(photo, out="whole.png", find="dead-pixels", compare=True, scale=scale)
    isthmus.reconstruct_files("photos.safetensors", photo, out="seen-compare.png", compare=True, scale=scale)
    isthmus.reconstruct_files("photos.safetensors", photo, out="seen.png")
    for name in ("clean", "whole", "seen"):
        assert read_image(f"{name}.png").shape[:2] == (12, 12)
        height, width = read_image(f"{name}-compare.png").shape[:2]
        assert height == 12 * factor
        assert width == pytest.approx(2 * height, abs=4)


@pytest.mark.usefixtures("here")
def test_a_scale_is_refused_for_data_and_where_it_is_absurd() -> None:
    result = isthmus.search("photos.safetensors", "photos", "photos/left/1.png")
    with pytest.raises(isthmus.UsageError, match="no picture"):
        result.save("found.csv", scale=2)
    with pytest.raises(isthmus.UsageError, match="at least 1"):
        result.save("found.png", scale=0)
    with pytest.raises(isthmus.OutputError, match="scale=100000"):
        result.save("found.png", scale=100_000)
    assert not Path("found.png").exists()
