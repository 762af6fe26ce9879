"""TIFF of palettes, inks and CIELAB in every layout, and pictures that stand behind their small copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import isthmus
from isthmus.errors import DataError
from isthmus.images.formats import decode
from isthmus.images.metadata import read_metadata

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (64, 48, 3)).astype(np.uint8)
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"compression": "zstd"},
    {"compression": "lzw"},
    {"tile": (32, 16)},
    {"compression": "zstd", "tile": (16, 16), "bigtiff": True},
    {"byteorder": ">"},
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("gray", [False, True])
def test_palettes(tmp_path: Path, layout: dict[str, Any], bits: int, *, gray: bool) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    palette = RANDOM.integers(0, 2**bits, (1 if gray else 3, 2**bits)).repeat(3 if gray else 1, 0)
    indices = RANDOM.integers(0, 2**bits, (64, 48)).astype(dtype)
    stored = (palette * (257 if bits == 8 else 1)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=stored, **layout)
    right = palette.T.astype(dtype)[indices]
    pixels = decode(tmp_path / "a.tif")
    assert pixels.dtype == dtype
    assert np.array_equal(pixels, right[..., : 1 if gray else 3])


def write_as(path: Path, samples: np.ndarray, photometric: int, **layout: Any) -> None:
    """Three channels under another photometric interpretation than RGB."""
    if layout.get("planarconfig") == "separate":
        samples = samples.transpose(2, 0, 1).copy()
    tifffile.imwrite(path, samples, photometric="rgb", **layout)
    with tifffile.TiffFile(path, mode="r+") as file:
        for page in file.pages:
            page.tags["PhotometricInterpretation"].overwrite(photometric)  # type: ignore[union-attr]


@pytest.mark.parametrize("layout", [*LAYOUTS, {"planarconfig": "separate"}])
def test_cielab_and_that_of_icc_of_8_and_16_bits(tmp_path: Path, layout: dict[str, Any]) -> None:
    profile = ImageCms.createProfile
    lab = ImageCms.profileToProfile(
        Image.fromarray(COLOURS), profile("sRGB"), profile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "pillow.tif")
    right = decode(tmp_path / "pillow.tif")
    assert np.abs(right.astype(int) - COLOURS).mean() < 2  # 8 bits of CIELAB keep no more
    signed = tifffile.imread(tmp_path / "pillow.tif")
    offset = signed ^ np.array([0, 128, 128], np.uint8)
    light, rest = signed[..., :1].astype(np.uint16), signed[..., 1:].astype(np.uint16) << 8
    for name, samples, kind in (
        ("cie8.tif", signed, 8),
        ("icc8.tif", offset, 9),
        ("cie16.tif", np.concatenate([light * 257, rest], axis=2), 8),
        ("icc16.tif", np.concatenate([light * 256, rest ^ 0x8000], axis=2), 9),
    ):
        write_as(tmp_path / name, samples, kind, **layout)
        assert np.array_equal(decode(tmp_path / name), right), name
    assert any("more than 8 bits" in note for note in isthmus.read(tmp_path / "cie16.tif").notes)
    assert "CIELAB colours, converted to sRGB" in read_metadata(tmp_path / "icc8.tif").dropped


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_with_alpha_are_read_and_spot_inks_refused(tmp_path: Path, planar: str, dtype: Any) -> None:
    samples = RANDOM.integers(0, np.iinfo(dtype).max + 1, (20, 24, 5)).astype(dtype)
    inks = (samples[..., :4] >> (8 if dtype == np.uint16 else 0)).astype(np.uint8)
    right = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    stored = samples if planar == "contig" else samples.transpose(2, 0, 1).copy()
    options: dict[str, Any] = {"photometric": "separated", "planarconfig": planar}
    tifffile.imwrite(tmp_path / "a.tif", stored, extrasamples=["unassalpha"], **options)
    pixels = decode(tmp_path / "a.tif", alpha="keep")
    assert np.array_equal(pixels[..., :3], right)
    assert np.abs(pixels[..., 3] / 255 - samples[..., 4] / np.iinfo(dtype).max).max() < 0.0021
    tifffile.imwrite(tmp_path / "spot.tif", stored, extrasamples=["unspecified"], **options)
    with pytest.raises(DataError, match="SEPARATED"):
        decode(tmp_path / "spot.tif")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_copy_before_the_picture_is_not_read(tmp_path: Path, layout: dict[str, Any]) -> None:
    options = {key: value for key, value in layout.items() if key not in ("bigtiff", "byteorder")}
    opening = {key: value for key, value in layout.items() if key in ("bigtiff", "byteorder")}
    with tifffile.TiffWriter(tmp_path / "chain.tif", **opening) as writer:
        writer.write(COLOURS[::2, ::2], subfiletype=1, photometric="rgb", **options)
        writer.write(COLOURS, photometric="rgb", resolution=(200, 200), resolutionunit="INCH", **options)
    with tifffile.TiffWriter(tmp_path / "below.tif", **opening) as writer:
        writer.write(COLOURS[::2, ::2], subfiletype=1, photometric="rgb", subifds=1, **options)
        writer.write(COLOURS, photometric="rgb", **options)
    for name in ("chain.tif", "below.tif"):
        assert np.array_equal(decode(tmp_path / name), COLOURS), name
        done = isthmus.denoise_files(tmp_path / name, out=tmp_path / "b.tif", sigma=0, force=True)
        assert (done.files[0].pages, done.files[0].lost) == (1, "smaller copies and masks of its pages")
        assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), COLOURS)
    assert read_metadata(tmp_path / "chain.tif").dpi == (200, 200)
    assert isthmus.read(tmp_path / "chain.tif").notes == ()


def test_of_small_copies_alone_the_first_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for step in (1, 2):
            writer.write(COLOURS[::step, ::step], subfiletype=1, photometric="rgb")
    assert np.array_equal(decode(tmp_path / "a.tif"), COLOURS)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("suffix", [".tif", ".btf"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_planar_tiles_of_big_tiff(tmp_path: Path, kind: int, suffix: str, dtype: Any) -> None:
    samples = RANDOM.random((3, 70, 90)) * (1 if dtype == np.float32 else np.iinfo(dtype).max)
    layout: dict[str, Any] = {"tile": (32, 48), "planarconfig": "separate", "compression": "zlib"}
    pages = [samples.astype(dtype), samples[:, ::-1].astype(dtype)][:kind]
    with tifffile.TiffWriter(tmp_path / f"a{suffix}", bigtiff=True) as writer:
        for page in pages:
            writer.write(page, photometric="rgb", predictor=True, **layout)
    assert np.array_equal(decode(tmp_path / f"a{suffix}"), pages[0].transpose(1, 2, 0))
    done = isthmus.denoise_files(tmp_path / f"a{suffix}", out=tmp_path / f"b{suffix}", sigma=0)
    assert (done.files[0].pages, done.files[0].lost) == (kind, "")
    stored = tifffile.imread(tmp_path / f"b{suffix}").reshape(kind, 70, 90, 3)
    assert np.array_equal(stored, np.stack([page.transpose(1, 2, 0) for page in pages]))


def write_palette(
    path: Path, samples: np.ndarray, palette: np.ndarray | None, kind: int = 0, **layout: Any
) -> None:
    """Numbers of colours, with alpha where `kind` says which, and a ColorMap of any length."""
    tags = [] if palette is None else [(320, "H", palette.size, palette.reshape(-1).tolist(), True)]
    options: dict[str, Any] = {"photometric": "minisblack", "extratags": tags, "metadata": None, **layout}
    if kind:
        options["extrasamples"] = [kind]
    tifffile.imwrite(path, samples, **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(3)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_of_a_palette_are_divided_by_alpha(
    tmp_path: Path, dtype: Any, kind: int, planar: str
) -> None:
    top = int(np.iinfo(dtype).max)
    palette = RANDOM.integers(0, top + 1, (3, top + 1)).astype(np.int64)
    samples = RANDOM.integers(0, top + 1, (12, 10, 2)).astype(dtype)
    samples[0, 0, 1] = 0
    stored = samples if planar == "contig" else samples.transpose(2, 0, 1).copy()
    levels = (palette * (65535 // top)).astype(np.uint16)
    write_palette(tmp_path / "a.tif", stored, levels, kind, planarconfig=planar)
    pixels = decode(tmp_path / "a.tif", alpha="keep")
    opacity = samples[..., 1:].astype(np.int64)
    right = palette.T[samples[..., 0]]
    if kind == 1:
        right = np.where(opacity == 0, 0, (right * top // np.maximum(opacity, 1)).clip(0, top))
    assert pixels.dtype == dtype
    assert np.array_equal(pixels, np.concatenate([right, opacity], axis=2))


@pytest.mark.parametrize("layout", [{}, {"compression": "zstd"}, {"compression": "lzw"}])
@pytest.mark.parametrize("entries", [None, 300, 3 * 128, 3 * 512])
def test_palettes_of_another_length_are_refused(
    tmp_path: Path, layout: dict[str, Any], entries: int | None
) -> None:
    palette = None if entries is None else np.arange(entries, dtype=np.uint16)
    write_palette(tmp_path / "a.tif", COLOURS[..., 0], palette, **layout)
    with pytest.raises(DataError, match="colours of a kind that is not read"):
        decode(tmp_path / "a.tif")
    write_palette(tmp_path / "a.tif", COLOURS[..., 0], np.arange(768) * 85, **layout)
    assert decode(tmp_path / "a.tif").shape == (64, 48, 3)


def test_cielab_that_was_multiplied_by_alpha_is_refused(tmp_path: Path) -> None:
    samples = np.concatenate([COLOURS, COLOURS[..., :1]], axis=2)
    for kind, extra in ((8, "assocalpha"), (9, "assocalpha"), (8, "unassalpha")):
        write_as(tmp_path / "a.tif", samples, kind, extrasamples=[extra])
        if extra == "unassalpha":
            assert np.array_equal(decode(tmp_path / "a.tif", alpha="keep")[..., 3], COLOURS[..., 0])
            continue
        with pytest.raises(DataError, match="colours of a kind that is not read"):
            decode(tmp_path / "a.tif")


def test_signed_samples_are_divided_by_alpha(tmp_path: Path) -> None:
    samples = np.full((3, 4, 4), 16384, np.int16)
    samples[0, 0, :3] = [-100, 100, 20000]
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    pixels = decode(tmp_path / "a.tif", alpha="keep", value_range=(-32768, 32767))[0, 0, :3]
    assert np.allclose(pixels * 65535 - 32768, [-200, 200, 32767], atol=1.1)
