"""Restored files keep what the input had: bits, pages, frames, metadata; what is lost is named."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

import isthmus
from isthmus.errors import UsageError
from isthmus.images import heif
from isthmus.images.opening import SUFFIXES
from isthmus.images.write import LOSSY

RANDOM = np.random.default_rng(0)
DEEP = RANDOM.integers(0, 65536, (20, 24, 3)).astype(np.uint16)
STACK = RANDOM.integers(0, 256, (3, 20, 24)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def restore(source: str, out: str, **options: Any) -> Any:
    """Every pixel as it is: sigma 0 is the identity."""
    return isthmus.denoise_files(source, out=out, sigma=0, **options)


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm", "jp2"])
def test_sixteen_bits_in_colour_go_through(suffix: str) -> None:
    tifffile.imwrite("a.tif", DEEP.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    done = restore("a.tif", f"b.{suffix}")
    assert np.array_equal(isthmus.read(f"b.{suffix}").image(0), DEEP)
    assert "bits" not in done.files[0].lost


def test_bits_and_floats_that_a_format_does_not_hold_are_named() -> None:
    tifffile.imwrite("a.tif", DEEP, photometric="rgb")
    done = restore("a.tif", "b.webp")
    assert done.files[0].lost == "bits beyond the eighth"
    assert any("bits beyond the eighth" in note for note in done.notes)
    floats = RANDOM.random((20, 24)).astype(np.float32)
    tifffile.imwrite("f.tif", floats)
    restore("f.tif", "g.tif")
    assert np.array_equal(tifffile.imread("g.tif"), floats)
    assert "float" in restore("f.tif", "g.png").files[0].lost
    assert np.abs(isthmus.read("g.png").image(0)[..., 0] / 65535 - floats).max() < 1e-5


def test_all_pages_are_restored_and_written() -> None:
    tifffile.imwrite("a.tif", STACK, photometric="minisblack")
    done = restore("a.tif", "a.tif", force=True)
    assert done.files[0].pages == 3
    assert np.array_equal(tifffile.imread("a.tif"), STACK)
    noisy = isthmus.denoise_files("a.tif", out="b.tif", sigma=25)
    assert noisy.files[0].pages == 3
    for page, before in zip(tifffile.imread("b.tif"), STACK, strict=True):
        assert np.array_equal(page, isthmus.denoise(before, 25))
    mask = np.zeros((20, 24), np.uint8)
    mask[5:8, 5:8] = 255
    Image.fromarray(mask).save("mask.png")
    isthmus.inpaint_files("a.tif", out="c.tif", mask="mask.png")
    filled = tifffile.imread("c.tif")
    assert np.array_equal(filled[:, mask == 0], STACK[:, mask == 0])


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_all_frames_are_restored_with_their_times(suffix: str) -> None:
    frames = [Image.fromarray(RANDOM.integers(0, 256, (16, 16, 3)).astype(np.uint8)) for _ in range(4)]
    more: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    times = [100, 200, 300, 150]
    frames[0].save(f"a.{suffix}", save_all=True, append_images=frames[1:], duration=times, loop=3, **more)
    restore(f"a.{suffix}", f"b.{suffix}")
    durations = []
    with Image.open(f"b.{suffix}") as image:
        for index, frame in enumerate(frames):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
            if suffix != "gif":
                assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(frame))
        assert image.info["loop"] == 3
    assert durations == times


def test_pages_are_never_lost_without_a_word() -> None:
    tifffile.imwrite("a.tif", STACK, photometric="minisblack")
    done = restore("a.tif", "b.png")
    assert done.files[0].pages == 1 and "pages" in done.files[0].lost
    frames = [Image.fromarray(np.full((16, 16, 3), level, np.uint8)) for level in (9, 99, 199)]
    frames[0].save("a.avif", save_all=True, append_images=frames[1:])
    with pytest.raises(OSError, match="only the first"):
        restore("a.avif", "a.avif", force=True)
    with Image.open("a.avif") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]


def test_a_folder_gives_tiff_for_what_a_png_does_not_hold() -> None:
    Path("in").mkdir()
    tifffile.imwrite("in/pages.tif", STACK, photometric="minisblack")
    tifffile.imwrite("in/one.tif", DEEP, photometric="rgb")
    restore("in", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == ["one.png", "pages.tif"]
    assert np.array_equal(tifffile.imread("out/pages.tif"), STACK)


def test_results_in_the_folder_are_not_restored_again() -> None:
    Path("in").mkdir()
    Image.fromarray(STACK[0]).save("in/a.png")
    for _ in range(3):
        restore("in", "in/clean", force=True)
    assert [path.name for path in Path("in/clean").rglob("*.*")] == ["a.png"]
    with pytest.raises(UsageError, match="folder of the input images") as caught:
        restore("in", "in")
    assert "in_place" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no effect"):
        restore("in", "elsewhere", in_place=True)
    Image.fromarray(STACK[1]).save("in/b.bmp")
    done = restore("in", "in", in_place=True)
    assert [file.output for file in done.files] == ["in/a.png", "in/b.bmp", "in/clean/a.png"]
    assert np.array_equal(isthmus.read("in/b.bmp").image(0)[..., 0], STACK[1])


def test_an_image_goes_through_the_standard_streams() -> None:
    packed = io.BytesIO()
    Image.fromarray(STACK[0]).save(packed, "PNG", dpi=(300, 300))
    command = [sys.executable, "-m", "isthmus", "denoise", "-", "-o", "-", "--sigma", "0"]
    done = subprocess.run(command, input=packed.getvalue(), capture_output=True, check=True)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert np.array_equal(np.asarray(image), STACK[0])
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    both = subprocess.run([*command, "--json"], input=packed.getvalue(), capture_output=True, check=False)
    assert both.returncode == 2 and both.stdout == b"" and b"--json" in both.stderr
    with pytest.raises(UsageError, match="one file"):
        isthmus.denoise_files(["-", "a.png"], out="b/", sigma=0)


@pytest.mark.parametrize("as_list", [False, True])
def test_an_array_goes_to_standard_output_as_png(capfdbinary: Any, as_list: bool) -> None:
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    made = isthmus.denoise_files([levels] if as_list else levels, out="-", sigma=0)
    assert [file.output for file in made.files] == ["-"]
    with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as image:
        assert np.array_equal(np.asarray(image), levels[..., 0])


# What Pillow calls the files that are written under each suffix that is read.
KINDS_IN_PLACE = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff", ".btf", ".tf8"), "TIFF"),
    **dict.fromkeys((".jp2", ".jpx", ".jpf", ".j2k", ".jpc"), "JPEG2000"),
    **dict.fromkeys((".pgm", ".ppm", ".pnm"), "PPM"),
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".dib": "DIB",
    ".gif": "GIF",
}
REFUSED_IN_PLACE = {".pbm", ".pfm", *heif.SUFFIXES}


@pytest.mark.parametrize("upper", [False, True])
def test_in_place_each_kind_stays_under_its_name_or_is_refused_by_name(*, upper: bool) -> None:
    assert set(KINDS_IN_PLACE) | REFUSED_IN_PLACE == SUFFIXES
    Path("in").mkdir()
    pixels = np.add.outer(np.arange(20), np.arange(24)).astype(np.uint8) * 5
    gray = Image.fromarray(pixels)
    made_with: dict[str, Any] = {
        **{suffix: {"no_jp2": True} for suffix in (".j2k", ".jpc")},
        ".webp": {"lossless": True},
    }
    names = {suffix: f"in/{suffix[1:]}{suffix.upper() if upper else suffix}" for suffix in SUFFIXES}
    for suffix, name in names.items():
        if suffix == ".pbm":
            gray.convert("1").save(name, "PPM")
        elif suffix == ".pfm":
            Image.fromarray(pixels / np.float32(255)).save(name, "PPM")
        elif suffix in heif.SUFFIXES:
            pillow_heif.from_pillow(gray).save(name)
        else:
            gray.save(name, KINDS_IN_PLACE[suffix], **made_with.get(suffix, {}))
    refused = {suffix: Path(names[suffix]).read_bytes() for suffix in REFUSED_IN_PLACE}
    done = restore("in", "in", in_place=True)
    assert sorted(map(str, Path("in").iterdir())) == sorted(names.values())
    assert {skipped.name for skipped in done.skipped} == {
        Path(names[suffix]).name for suffix in REFUSED_IN_PLACE
    }
    assert all("the file name must end with one of" in skipped.reason for skipped in done.skipped)
    for suffix, content in refused.items():
        assert Path(names[suffix]).read_bytes() == content
    for suffix, kind in KINDS_IN_PLACE.items():
        with Image.open(names[suffix]) as image:
            assert image.format == kind
        tolerance = 8 if suffix in LOSSY else 0
        assert (
            np.abs(np.asarray(isthmus.read(names[suffix]).image(0)[..., 0], int) - pixels).max() <= tolerance
        )
    for suffix in (".j2k", ".jpc"):  # the bare stream, not the file that holds one
        assert Path(names[suffix]).read_bytes()[:4] == b"\xff\x4f\xff\x51"


def frames_of(path: str) -> Any:
    with Image.open(path) as image:
        frames = []
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            frames.append(np.asarray(image.convert("RGBA"), int))
    return np.stack(frames)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_gif_keeps_what_fits_into_its_palette_and_names_what_does_not(count: int, *, alpha: bool) -> None:
    palette = RANDOM.integers(0, 256, (250, 3)).astype(np.uint8)
    frames = []
    for _ in range(count):
        colours = palette[RANDOM.integers(0, 250, (20, 24))]
        opacity = np.where(RANDOM.random((20, 24)) < 0.5, 0, 255).astype(np.uint8)
        frames.append(Image.fromarray(np.dstack([colours, opacity]) if alpha else colours))
    frames[0].save("a.png", save_all=True, append_images=frames[1:], duration=50)
    assert restore("a.png", "a.gif").files[0].lost == ""
    right, gif_frames = frames_of("a.png"), frames_of("a.gif")
    assert np.array_equal(gif_frames[..., 3], right[..., 3])
    is_visible = right[..., 3] > 0
    assert np.array_equal(gif_frames[is_visible], right[is_visible])
    assert restore("a.gif", "a.gif", force=True).files[0].lost == ""
    assert np.array_equal(frames_of("a.gif")[is_visible], right[is_visible])
    more = RANDOM.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    soft = np.full((20, 24, 1), 200, np.uint8)
    Image.fromarray(np.dstack([more, soft]) if alpha else more).save("b.png")
    lost = restore("b.png", "b.gif").files[0].lost
    assert lost == ("colours beyond 256; soft transparency" if alpha else "colours beyond 256")


def test_levels_below_a_page_are_named() -> None:
    with tifffile.TiffWriter("a.tif") as writer:
        writer.write(STACK[0], subifds=1)
        writer.write(STACK[0][::2, ::2], subfiletype=1)
    assert restore("a.tif", "b.tif").files[0].lost == "smaller copies and masks of its pages"


def test_a_folder_called_like_a_stream_is_given_with_its_place() -> None:
    Path("-").mkdir()
    Image.fromarray(STACK[0]).save("./-/a.png")
    command = [sys.executable, "-m", "isthmus", "denoise"]
    options = ["--sigma", "0"]
    content = Path("./-/a.png").read_bytes()
    subprocess.run([*command, "./-", "-o", "out", *options], check=True)
    assert Path("out/a.png").is_file()
    subprocess.run([*command, "-", "-o", "b.png", *options], input=content, check=True)
    assert np.array_equal(isthmus.read("b.png").image(0)[..., 0], STACK[0])
    subprocess.run([*command, "b.png", "-o", "./-", *options], check=True)
    assert Path("./-/b.png").is_file()


def test_in_place_leaves_what_links_lead_to_outside() -> None:
    for folder in ("in", "elsewhere"):
        Path(folder).mkdir()
        Image.fromarray(STACK[0]).save(f"{folder}/a.png")
    before = Path("elsewhere/a.png").read_bytes()
    Path("in/originals").symlink_to(Path("elsewhere").resolve())
    Path("in/b.png").symlink_to(Path("elsewhere/a.png").resolve())
    done = restore("in", "in", in_place=True)
    assert [file.output for file in done.files] == ["in/a.png"]
    assert any(note.startswith("2 files outside of") for note in done.notes)
    assert Path("elsewhere/a.png").read_bytes() == before
