"""What is missing: said by a picture, a colour, transparency, or found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from skimage import data

import isthmus
from isthmus.errors import DataError, UsageError
from isthmus.restoration import masks


def test_white_of_a_picture_is_missing(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((9, 11)) < 0.5
    Image.fromarray(mask).save(tmp_path / "one-bit.png")
    Image.fromarray(np.stack([mask * np.uint8(255)] * 3, -1)).save(tmp_path / "colour.png")
    for name in ("one-bit.png", "colour.png"):
        assert np.array_equal(masks.from_picture(tmp_path / name), mask)


def test_an_error_of_a_mask_names_the_mask(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no image")
    with pytest.raises(DataError, match=r"^its mask .*mask\.png: "):
        masks.from_picture(tmp_path / "mask.png")


@pytest.mark.parametrize("text", ["#ff0080", "FF0080", "255,0,128", " 255, 0 ,128"])
def test_colours_are_read(text: str) -> None:
    assert masks.parse_colour(text) == (255, 0, 128)


@pytest.mark.parametrize("text", ["", "#ff00", "red", "1,2", "256,0,0", "-1,0,0"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a colour"):
        masks.parse_colour(text)


def test_pixels_of_a_colour_within_a_tolerance() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0], image[1, 2] = (255, 0, 255), (250, 4, 255)
    assert masks.of_colour(image, (255, 0, 255)).sum() == 1
    assert masks.of_colour(image, (255, 0, 255), tolerance=5).sum() == 2
    assert masks.of_colour(image.astype(np.uint16) * 257, (255, 0, 255)).sum() == 1
    assert masks.of_colour(image[..., 1:2], (4, 4, 4)).sum() == 1
    with pytest.raises(DataError, match="gray"):
        masks.of_colour(image[..., :1], (255, 0, 255))


def test_transparency_says_what_is_missing() -> None:
    image = np.full((2, 2, 4), 255, np.uint8)
    image[0, 1, 3], image[1, 1, 3] = 0, 100
    assert np.array_equal(masks.of_alpha(image), [[False, True], [False, True]])
    with pytest.raises(DataError, match="no transparency"):
        masks.of_alpha(image[..., :3])


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_dead_pixels_are_found_in_a_photograph_and_little_else(sigma: float) -> None:
    random = np.random.default_rng(0)
    photo = data.camera()[:400, :400, None] / 255
    photo = (photo + random.normal(size=photo.shape) * sigma / 255).clip(0, 1).astype(np.float32)
    dead = random.random((400, 400)) < 0.001
    photo[dead] = np.where(photo[dead] < 0.5, 1.0, 0.0)
    is_dead = masks.dead_pixels(photo)
    assert (is_dead & dead).sum() > 0.95 * dead.sum()
    assert (is_dead & ~dead).sum() < 0.003 * dead.size


def test_lines_edges_and_flat_places_are_not_dead() -> None:
    image = np.zeros((30, 30, 1), np.uint8)
    image[10], image[:, 20:] = 255, 255
    assert not masks.dead_pixels(image).any()


def soft_stroke() -> np.ndarray:
    """A disc with a soft edge, `(40, 50)` uint8, of values from 0 to 255."""
    y, x = np.mgrid[:40, :50]
    return np.asarray(((12 - np.hypot(y - 20, x - 25)) * 60).clip(0, 255), np.uint8)


def test_every_value_above_0_is_missing_whatever_the_type(tmp_path: Path) -> None:
    soft = soft_stroke()
    assert 0 < soft[soft > 0].min() < 60  # it has a faint rim
    expected = soft > 0
    Image.fromarray(soft).save(tmp_path / "soft.png")
    Image.fromarray(soft // 255).save(tmp_path / "zero-one.png")
    Image.fromarray((soft > 0).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(soft.astype(np.float32) * 3).save(tmp_path / "float.tif")
    Image.fromarray(np.stack([soft, 0 * soft, 0 * soft], -1)).save(tmp_path / "red.png")
    Image.fromarray(soft).save(tmp_path / "soft.webp", lossless=True)
    for name in ("soft.png", "deep.png", "float.tif", "red.png", "soft.webp"):
        assert np.array_equal(masks.from_picture(tmp_path / name), expected), name
    assert np.array_equal(masks.from_picture(tmp_path / "zero-one.png"), soft == 255)
    with Image.open(tmp_path / "soft.png") as opened:
        assert np.array_equal(masks.from_picture(opened), expected)
    assert np.array_equal(masks.from_picture((tmp_path / "soft.png").read_bytes()), expected)


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_of_a_jpeg_mask_values_above_64_are_missing(tmp_path: Path, quality: int) -> None:
    hard = np.zeros((64, 64), bool)
    hard[21:43, 13:50] = True
    Image.fromarray(hard * np.uint8(255)).save(tmp_path / "mask.jpg", quality=quality)
    assert (np.asarray(Image.open(tmp_path / "mask.jpg"))[~hard] > 0).any()  # what "above 0" would take
    assert np.array_equal(masks.from_picture(tmp_path / "mask.jpg"), hard)
    assert np.array_equal(masks.from_picture((tmp_path / "mask.jpg").read_bytes()), hard)
    with Image.open(tmp_path / "mask.jpg") as opened:
        assert np.array_equal(masks.from_picture(opened), hard)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 10, 60)])
def test_alpha_is_the_mask_where_it_varies(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    soft = soft_stroke()
    layer = np.dstack([*(np.full_like(soft, value) for value in colour), soft])
    Image.fromarray(layer).save(tmp_path / "layer.png")
    assert np.array_equal(masks.from_picture(tmp_path / "layer.png"), soft > 0)
    Image.fromarray(np.dstack([soft, np.full_like(soft, 255)]), "LA").save(tmp_path / "opaque.png")
    assert np.array_equal(masks.from_picture(tmp_path / "opaque.png"), soft > 0)


def test_a_mask_grows_by_rows_and_columns() -> None:
    mask = np.zeros((9, 12), bool)
    mask[4, 5] = mask[0, 11] = True
    grown = masks.grow(mask, 2)
    expected = np.zeros_like(mask)
    expected[2:7, 3:8] = expected[:3, 9:] = True
    assert np.array_equal(grown, expected)
    assert np.array_equal(masks.grow(mask, 0), mask)
    assert masks.grow(mask, 10**9).all()
    assert not masks.grow(np.zeros_like(mask), 3).any()


@pytest.mark.parametrize(
    ("subsampling", "colour", "spread"),
    [
        (2, (255, 0, 255), (3, 3)),
        (1, (0, 255, 0), (1, 3)),
        (0, (255, 0, 0), (0, 0)),
        (2, (255, 255, 255), (0, 0)),
    ],
)
def test_jpeg_spreads_colour_as_far_as_it_is_stored_coarsely(
    tmp_path: Path, subsampling: int, colour: tuple[int, int, int], spread: tuple[int, int]
) -> None:
    Image.new("RGB", (40, 30), colour).save(tmp_path / "a.jpg", subsampling=subsampling)
    Image.new("RGB", (40, 30), colour).save(tmp_path / "a.png")
    assert masks.jpeg_spread(tmp_path / "a.jpg", colour) == spread
    assert masks.jpeg_spread(tmp_path / "a.png", colour) == (0, 0)


LOSSY: dict[str, dict[str, Any]] = {
    "a.webp": {"quality": 50},
    "a.avif": {"quality": 30},
    "a.jp2": {"irreversible": True, "quality_mode": "rates", "quality_layers": [6]},
    "a.tif": {"compression": "jpeg", "quality": 75},
    "a.jpg": {"quality": 75},
}


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_of_any_lossy_mask_values_above_64_are_missing(tmp_path: Path, name: str, mode: str) -> None:
    hard = np.zeros((64, 96), bool)
    hard[19:44, 13:50] = hard[30:33] = True
    noise = np.random.default_rng(0).integers(0, 8, hard.shape).astype(np.uint8)  # as a scanner leaves it
    Image.fromarray(np.where(hard, 255, noise).astype(np.uint8)).convert(mode).save(
        tmp_path / name, **LOSSY[name]
    )
    assert np.array_equal(masks.from_picture(tmp_path / name), hard)
    assert np.array_equal(masks.from_picture((tmp_path / name).read_bytes()), hard)
    with Image.open(tmp_path / name) as opened:
        assert np.array_equal(masks.from_picture(opened), hard)


@pytest.mark.parametrize("name", ["a.webp", "a.jp2", "a.tif", "a.png", "a.gif"])
def test_of_a_mask_that_keeps_every_sample_values_above_0_are_missing(tmp_path: Path, name: str) -> None:
    soft = soft_stroke()
    Image.fromarray(soft).save(tmp_path / name, lossless=True)  # which WebP alone takes
    assert np.array_equal(masks.from_picture(tmp_path / name), soft > 0)


def test_a_soft_layer_in_a_lossy_webp_keeps_its_edge(tmp_path: Path) -> None:
    soft = soft_stroke()
    layer = np.dstack([soft, soft, soft, soft])
    Image.fromarray(layer).save(tmp_path / "a.webp", quality=50)
    assert np.array_equal(masks.from_picture(tmp_path / "a.webp"), soft > 0)


@pytest.mark.parametrize("flaw", [254, 100, 0])
def test_a_flaw_of_alpha_does_not_make_it_the_mask(flaw: int) -> None:
    soft = np.pad(soft_stroke(), 20)
    alpha = np.full_like(soft, 255)
    alpha[3, 4] = flaw
    assert np.array_equal(masks.of_picture(np.dstack([soft, alpha])), soft > 0)
    everywhere = np.random.default_rng(0).integers(200, 256, soft.shape).astype(np.uint8)
    assert np.array_equal(masks.of_picture(np.dstack([soft, everywhere])), soft > 0)


def test_values_that_no_mask_has_are_refused(tmp_path: Path) -> None:
    image = np.full((8, 8, 3), 90, np.uint8)
    wrong = np.zeros((8, 8), np.float32)
    wrong[2, 3] = np.nan
    for mask in (wrong, torch.from_numpy(wrong), wrong - 1, np.full((8, 8), -1, np.int16), wrong.astype(str)):
        with pytest.raises(DataError, match="a mask holds"):
            isthmus.inpaint(image, mask)
    tifffile.imwrite(tmp_path / "nan.tif", wrong)
    with pytest.raises(DataError, match=r"its mask .*NaN"):
        masks.from_picture(tmp_path / "nan.tif")


def test_each_page_is_filled_by_the_page_of_its_mask(tmp_path: Path) -> None:
    pages = np.full((3, 32, 40), 90, np.uint8)
    holes = np.zeros((3, 32, 40), np.uint8)
    holes[0, 4:8, 4:8] = holes[2, 20:30, 10:12] = 255
    tifffile.imwrite(tmp_path / "a.tif", np.where(holes > 0, np.uint8(255), pages), photometric="minisblack")
    for name in ("mask.tif", "masks/a.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, holes, photometric="minisblack")
    for mask in ("mask.tif", "masks"):
        done = isthmus.inpaint_files(
            tmp_path / "a.tif", mask=tmp_path / mask, out=tmp_path / "b.tif", force=True
        )
        filled = tifffile.imread(tmp_path / "b.tif")
        assert np.array_equal(filled[holes == 0], pages[holes == 0])
        assert np.abs(filled[holes > 0].astype(int) - 90).max() < 30
        assert done.files[0].missing == pytest.approx((holes > 0).mean())
    tifffile.imwrite(tmp_path / "mask.tif", holes[0], photometric="minisblack")  # one for all pages
    isthmus.inpaint_files(tmp_path / "a.tif", mask=tmp_path / "mask.tif", out=tmp_path / "c.tif")
    assert (tifffile.imread(tmp_path / "c.tif")[2] == 255).sum() == 20
    tifffile.imwrite(tmp_path / "mask.tif", holes[:2], photometric="minisblack")
    with pytest.raises(DataError, match="it has 2 pages, and the image 3"):
        isthmus.inpaint_files(tmp_path / "a.tif", mask=tmp_path / "mask.tif", out=tmp_path / "d.tif")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_masks_of_booleans_may_have_channels(channels: int) -> None:
    hidden = np.zeros((8, 8, channels), bool)
    hidden[2:5, 3, :] = True
    assert np.array_equal(masks.of_picture(hidden), hidden[..., 0])
