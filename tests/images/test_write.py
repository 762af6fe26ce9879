"""Pixels out: exact where the format can, refused where it cannot; sheets and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import OutputError
from isthmus.images.formats import decode, metadata
from isthmus.images.write import grid, save_image
from isthmus.names import safe_paths

from .files import photo, save


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "tiff", "bmp", "ppm", "jp2"])
def test_colour_is_written_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = photo(9, 14)
    save_image(tmp_path / f"a.{suffix}", pixels)
    assert np.array_equal(decode(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pgm", "jp2"])
@pytest.mark.parametrize("layout", [(9, 14), (9, 14, 1)])
def test_gray_is_written_exactly(tmp_path: Path, suffix: str, layout: tuple[int, ...]) -> None:
    pixels = photo(9, 14, 1)
    save_image(tmp_path / f"a.{suffix}", pixels.reshape(layout))
    assert np.array_equal(decode(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_sixteen_bits_are_written_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 14, 1), dtype=np.uint16)
    save_image(tmp_path / f"a.{suffix}", pixels)
    assert np.array_equal(decode(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_is_written_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = photo(9, 14, 4)
    save_image(tmp_path / f"a.{suffix}", pixels)
    assert np.array_equal(decode(tmp_path / f"a.{suffix}", alpha="keep"), pixels)


@pytest.mark.parametrize("suffix", ["jpg", "avif", "gif"])
def test_lossy_formats_stay_near(tmp_path: Path, suffix: str) -> None:
    pixels = photo(32, 32)
    save_image(tmp_path / f"a.{suffix}", pixels)
    assert np.abs(decode(tmp_path / f"a.{suffix}").astype(int) - pixels).mean() < 8


def test_floats_are_clipped_scaled_and_rounded(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.array([[-1, 0.4 / 255, 0.6 / 255, 2]]))
    assert decode(tmp_path / "a.png")[0, :, 0].tolist() == [0, 0, 1, 255]


def test_metadata_is_kept_without_the_orientation(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    for suffix in ("jpg", "png", "webp", "tif", "avif"):
        source = save(tmp_path / f"in.{suffix}", photo(8, 12), exif=exif.tobytes(), icc_profile=profile)
        exif_read, icc = metadata(source)
        target = tmp_path / f"out.{suffix}"
        save_image(target, decode(source), exif=exif_read, icc=icc)
        assert decode(target).shape == (12, 8, 3)  # turned once, not twice
        with Image.open(target) as image:
            assert image.getexif()[0x010F] == "maker"
            assert image.info["icc_profile"] == profile
    assert metadata(save(tmp_path / "plain.png", photo(3, 3))) == (None, None)


def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path: Path) -> None:
    cases: list[tuple[str, np.ndarray, str]] = [
        ("a.xyz", photo(2, 2), "must end with"),
        ("a.jpg", photo(2, 2, 4), "no transparency"),
        ("a.jpg", np.zeros((2, 2), np.uint16), "16 bits"),
        ("a.webp", np.zeros((2, 2, 3), np.uint16), "16 bits"),
        ("a.png", np.zeros((2, 2), np.int64), "int64"),
        ("a.png", np.zeros((2, 2, 5), np.uint8), "1 to 4"),
        ("a.png", np.zeros((0, 2), np.uint8), "1 to 4"),
        ("a.png", np.array([[np.nan]]), "NaN"),
        ("a.webp", np.zeros((1, 20_000), np.uint8), "WEBP"),
    ]
    for name, pixels, reason in cases:
        with pytest.raises(OutputError, match=reason):
            save_image(tmp_path / name, pixels)
    assert [p for p in tmp_path.iterdir() if p.is_file()] == []


def test_existing_files_stay_without_force(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", photo(2, 2))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        save_image(path, photo(3, 3), force=False)
    assert path.read_bytes() == before
    save_image(path, photo(3, 3))
    assert decode(path).shape == (3, 3, 3)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_every_image_of_a_grid_is_in_it(count: int, columns: int, gap: int) -> None:
    images = np.stack([photo(4, 5, seed=i) for i in range(count)])
    sheet = grid(images, columns, gap=gap)
    white = np.ones(sheet.shape[:2], bool)
    for index, image in enumerate(images):
        row, column = divmod(index, min(columns, count))
        place = np.s_[row * (4 + gap) : row * (4 + gap) + 4, column * (5 + gap) : column * (5 + gap) + 5]
        assert np.array_equal(sheet[place], image)
        white[place] = False
    assert (sheet[white] == 255).all()


def test_grids_of_mixed_images() -> None:
    sheet = grid([photo(4, 4, 1)[:, :, 0], photo(8, 2), np.full((2, 2), 65535, np.uint16)], 2, gap=1)
    assert sheet.dtype == np.uint16
    assert sheet.shape == (17, 9, 3)
    floats = grid([np.full((2, 2), 0.5), np.full((2, 2, 1), 255, np.uint8)])
    assert floats.dtype == np.float32
    assert floats.max() == 1
    for images, columns in (([], None), ([photo(2, 2)], 0)):
        with pytest.raises(ValueError, match="at least one"):
            grid(images, columns)


NAMES = st.lists(
    st.sampled_from(
        ["a.png", "a.jpg", "A.PNG", "a.png.png", "b.tif", "d/a.png", "d/a.gif", "a", "a.jpg.png"]
    ),
    max_size=9,
)


@given(NAMES)
def test_output_names_never_meet(names: list[str]) -> None:
    result = safe_paths(names, suffix=".png")
    assert len(result) == len(names)
    assert len({name.casefold() for name in result}) == len(names)
    assert all(name.endswith(".png") for name in result)
    assert all(Path(out).parent == Path(name).parent for out, name in zip(result, names, strict=True))


def test_output_names_are_short_where_they_can_be() -> None:
    assert safe_paths(["a.jpg", "b.tif"], suffix=".png") == ("a.png", "b.png")
    assert safe_paths(["a.jpg", "a.tif", "b.tif"], suffix=".png") == ("a.jpg.png", "a.tif.png", "b.png")
    assert safe_paths(["x.v1.jpg", "x.v2.jpg"], suffix=".png") == ("x.v1.png", "x.v2.png")
