"""`compress_files`, `decompress_files`, `verify_files`: entries, sums, what is kept and what is damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import isthmus
import isthmus.log
from isthmus.__main__ import main
from isthmus.errors import DataError, UsageError
from isthmus.metrics.structure import ssim

from .parity import Parity

CODEC = str(Path(__file__).parents[1] / "codec" / "golden" / "model.safetensors")
GOLDEN = Path(__file__).parents[1] / "codec" / "golden"
PARITY = {
    "compress": Parity(
        ["compress", "photos/left", "-o", "small"],
        lambda: isthmus.compress_files("photos/left", out="small", force=True),
    ),
    "compress, all options": Parity(
        [
            *("compress", "photos/left", "-o", "small", "-m", CODEC, "--quality", "30", "--preview", "16"),
            *("--effort", "1", "--verify", "--compare", "--force", "--workers", "1", "--max-pixels", "1"),
        ],
        lambda: isthmus.compress_files(
            "photos/left",
            out="small",
            model=CODEC,
            quality=30,
            preview=16,
            effort=1,
            verify=True,
            compare=True,
            force=True,
            workers=1,
            max_pixels=1_000_000,
        ),
    ),
    "compress, without files that grow": Parity(
        ["compress", "photos/left", "-o", "small", "-m", CODEC, "--preview", "16", "--skip-larger"],
        lambda: isthmus.compress_files("photos/left", out="small", model=CODEC, preview=16, skip_larger=True),
        code=3,
    ),
    "compress, to a rate": Parity(
        ["compress", "photos/left/1.png", "-o", "a.isth", "-m", CODEC, "--bpp", "6"],
        lambda: isthmus.compress_files("photos/left/1.png", out="a.isth", model=CODEC, bpp=6, force=True),
    ),
    "compress, to a fidelity": Parity(
        ["compress", "photos/left/1.png", "-o", "a.isth", "-m", CODEC, "--psnr", "15"],
        lambda: isthmus.compress_files("photos/left/1.png", out="a.isth", model=CODEC, psnr=15, force=True),
    ),
    "decompress": Parity(
        ["decompress", str(GOLDEN / "colour.isth"), "-o", "a.png", "-m", CODEC],
        lambda: isthmus.decompress_files(GOLDEN / "colour.isth", out="a.png", model=CODEC, force=True),
    ),
    "decompress, all options": Parity(
        [
            *("decompress", str(GOLDEN / "colour.isth"), str(GOLDEN / "alpha.isth"), "-o", "again"),
            *("-m", CODEC, "--format", "bmp", "--region", "20x30+5+10", "--keep-going", "--force"),
            *("--workers", "1", "--max-pixels", "1", "--limit", "1"),
        ],
        lambda: isthmus.decompress_files(
            [GOLDEN / "colour.isth", GOLDEN / "alpha.isth"],
            out="again",
            model=CODEC,
            format="bmp",
            region=(10, 5, 30, 20),
            keep_going=True,
            force=True,
            workers=1,
            max_pixels=1_000_000,
            limit=1,
        ),
    ),
    "compress, to a fidelity that is not reached": Parity(
        ["compress", "photos/left/1.png", "-o", "a.isth", "-m", CODEC, "--psnr", "90"],
        lambda: isthmus.compress_files("photos/left/1.png", out="a.isth", model=CODEC, psnr=90, force=True),
        code=3,
    ),
    "decompress to JPEG": Parity(
        [
            *("decompress", str(GOLDEN / "colour.isth"), "-o", "again", "-m", CODEC),
            *("--format", "jpeg", "--jpeg-quality", "40"),
        ],
        lambda: isthmus.decompress_files(
            GOLDEN / "colour.isth", out="again", model=CODEC, format="jpeg", jpeg_quality=40, force=True
        ),
    ),
    "decompress, previews": Parity(
        ["decompress", str(GOLDEN / "tagged.isth"), "-o", "a.png", "--preview-only"],
        lambda: isthmus.decompress_files(GOLDEN / "tagged.isth", out="a.png", preview_only=True, force=True),
    ),
    "verify": Parity(
        ["verify", str(GOLDEN / "gray.isth")], lambda: isthmus.verify_files(GOLDEN / "gray.isth")
    ),
    "verify, all options": Parity(
        [
            *("verify", str(GOLDEN / "gray.isth"), str(GOLDEN / "colour.isth")),
            *("-m", CODEC, "--max-pixels", "1", "--limit", "1"),
        ],
        lambda: isthmus.verify_files(
            [GOLDEN / "gray.isth", GOLDEN / "colour.isth"], model=CODEC, max_pixels=1_000_000, limit=1
        ),
    ),
}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:48, :40]
    Path("photos").mkdir()
    for index in range(3):
        waves = 127 + 100 * np.sin(rows[..., None] / 9 + columns[..., None] / (3 + index) + np.arange(3))
        Image.fromarray(waves.astype(np.uint8)).save(f"photos/{index}.png")
    return tmp_path


@pytest.mark.usefixtures("photos")
def test_sums_and_fidelity_are_those_of_the_files() -> None:
    done = isthmus.compress_files("photos", out="small", model=CODEC, verify=True)
    assert done.bytes == sum(Path(file.file).stat().st_size for file in done.files)
    assert done.original_bytes == sum(Path(file.source).stat().st_size for file in done.files)
    for file in done.files:
        given, decoded = np.asarray(Image.open(file.source)), isthmus.decompress(file.file, model=CODEC)
        error = ((given.astype(float) - decoded) ** 2).mean() / 255**2
        assert file.psnr == pytest.approx(-10 * np.log10(error))
    assert done.summary().endswith("every file verified")
    again = isthmus.compress_files("photos", out="small", model=CODEC)
    assert (again.files, again.already_there) == ((), 3)
    assert again.summary() == "0 images compressed; 3 were there already and kept"
    assert isthmus.compress_files("photos", out="fast", model=CODEC).files[0].psnr is None


@pytest.mark.usefixtures("photos")
def test_a_damaged_file_is_written_in_part_and_named() -> None:
    data = bytearray((GOLDEN / "tiles.isth").read_bytes())
    data[len(data) // 2] ^= 1
    Path("damaged.isth").write_bytes(data)
    with pytest.raises(DataError, match=r"damaged\.isth: damaged"):
        isthmus.decompress_files("damaged.isth", out="a.png", model=CODEC)
    done = isthmus.decompress_files("damaged.isth", out="a.png", model=CODEC, keep_going=True)
    (entry,) = done.files
    assert len(entry.damage) == 1 and Path("a.png").exists() and not done.skipped
    assert [item.name for item in done.incomplete] == ["damaged.isth"]
    assert main(["decompress", "damaged.isth", "-o", "b.png", "-m", CODEC, "--keep-going", "-q"]) == 3


@pytest.mark.usefixtures("photos")
def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(UsageError, match="choose one"):
        isthmus.compress_files("photos", out="small", bpp=1, psnr=30)
    with pytest.raises(UsageError, match="format"):
        isthmus.decompress_files("photos", out="x", format="doc")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no \.isth files"):
        isthmus.verify_files("photos")
    with pytest.raises(DataError, match="no files are given"):
        isthmus.verify_files([])


def pixels_of(name: str) -> npt.NDArray[np.uint8]:
    with Image.open(name) as image:
        return np.asarray(image)


def write_flat(name: str) -> int:
    """A flat image that no codec makes smaller; the size of its file."""
    Image.fromarray(np.full((4, 4), 90, np.uint8)).save(name)
    return Path(name).stat().st_size


@pytest.mark.usefixtures("photos")
def test_files_that_grow_are_named_and_nothing_is_saved_below_zero() -> None:
    before = write_flat("flat.gif")
    alone = isthmus.compress_files("flat.gif", out="flat.isth", model=CODEC)
    (entry,) = alone.files
    assert entry.grew
    assert entry.bytes > entry.original_bytes == before
    first, second, third = alone.summary().splitlines()
    assert first == (
        f"1 image compressed: {before} bytes became {entry.bytes} bytes, {entry.bytes - before} bytes more"
    )
    assert second == f"1 file grew: flat.gif ({before} bytes to {entry.bytes} bytes)."
    assert "lossless WebP" in third
    write_flat("photos/flat.gif")
    some = isthmus.compress_files("photos", out="small", model=CODEC, quality=1)
    assert "% saved" in some.summary().splitlines()[0]
    assert f"1 file grew: {Path('photos/flat.gif')} (" in some.summary()
    assert (
        "grew" not in isthmus.compress_files("photos/1.png", out="b.isth", model=CODEC, quality=1).summary()
    )


@pytest.mark.usefixtures("photos")
def test_files_that_would_grow_are_left_out_and_named() -> None:
    write_flat("photos/flat.gif")
    done = isthmus.compress_files("photos", out="small", model=CODEC, quality=1, skip_larger=True)
    assert [Path(file.source).name for file in done.files] == ["0.png", "1.png", "2.png"]
    ((name, reason, id),) = [(file.name, file.reason, file.id) for file in done.skipped]
    assert (name, id) == ("flat.gif", "codec.would-grow")
    assert reason.startswith("would grow from ")
    assert not Path("small/flat.isth").exists()
    assert main(["compress", "photos/flat.gif", "-o", "flat.isth", "-m", CODEC, "--skip-larger"]) == 3
    assert not Path("flat.isth").exists()


@pytest.mark.parametrize("colour", [(90, 90, 90), (200, 30, 120), (255, 255, 255), (0, 0, 0)])
def test_a_flat_image_is_never_worse_at_a_higher_quality(colour: tuple[int, int, int]) -> None:
    image = np.full((40, 56, 3), colour, np.uint8)
    errors = []
    for quality in (1, 10, 25, 40, 55, 70, 85, 100):
        decoded = isthmus.decompress(isthmus.compress(image, model=CODEC, quality=quality), model=CODEC)
        errors.append(np.square(decoded.astype(float) - image).mean())
    assert errors == sorted(errors, reverse=True)


@pytest.mark.usefixtures("photos")
def test_before_after_and_difference_are_shown_pixel_by_pixel() -> None:
    tall = np.random.default_rng(0).integers(0, 256, (300, 30, 3), dtype=np.uint8)
    Image.fromarray(tall).save("tall.png")
    done = isthmus.compress_files("tall.png", out="tall.isth", model=CODEC, compare=True)
    (entry,) = done.files
    decoded = isthmus.decompress("tall.isth", model=CODEC)
    shown = pixels_of("tall-compare.png")
    assert np.array_equal(shown[:, :30], tall)
    assert np.array_equal(shown[:, 32:62], decoded)
    difference = np.clip(8 * np.abs(decoded.astype(int) - tall), 0, 255)
    assert np.array_equal(shown[:, 64:], difference)
    a, b = (torch.tensor(image / 255).permute(2, 0, 1)[None] for image in (decoded, tall))
    assert entry.ssim == pytest.approx(float(ssim(a, b)), abs=1e-5)
    assert f"PSNR {entry.psnr:.2f} dB, SSIM {entry.ssim:.4f}" in done.summary()


@pytest.mark.parametrize(
    ("target", "id"), [({"psnr": 80}, "fidelity-missed"), ({"bpp": 0.01}, "rate-missed")]
)
@pytest.mark.usefixtures("photos")
def test_a_target_that_is_missed_is_said_with_what_was_reached(target: dict[str, Any], id: str) -> None:
    done = isthmus.compress_files("photos/0.png", out="a.isth", model=CODEC, verify=True, **target)
    (entry,), (missed,) = done.files, done.incomplete
    assert missed.id == f"codec.{id}" and not done.skipped
    reached = entry.psnr if "psnr" in target else entry.bpp
    assert missed.fields["reached"] == pytest.approx(reached)
    best = isthmus.compress("photos/0.png", model=CODEC, quality=100 if "psnr" in target else 1)
    assert Path("a.isth").read_bytes() == best
    with isthmus.log.collect_notes():
        isthmus.compress("photos/0.png", model=CODEC, **target)
        assert [getattr(note, "id", "") for note in isthmus.log.collected_notes()] == [f"codec.{id}"]
    option = next(iter(target))
    words = ["compress", "photos/0.png", "-o", "b.isth", "-m", CODEC, f"--{option}", str(target[option])]
    assert main(words) == 3


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("psnr", [20, 80], ids=["reached", "missed"])
def test_the_fidelity_that_was_sought_is_in_the_result(psnr: float) -> None:
    (sought,) = isthmus.compress_files("photos/0.png", out="a.isth", model=CODEC, psnr=psnr).files
    (verified,) = isthmus.compress_files(
        "photos/0.png", out="b.isth", model=CODEC, psnr=psnr, verify=True
    ).files
    assert sought.psnr == pytest.approx(verified.psnr)
    assert (sought.missed is None) == (sought.psnr is not None and sought.psnr >= psnr)


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("format", "suffix"), [("jpeg", "jpg"), ("jpg", "JPEG"), ("tif", "tiff"), ("png", "png")]
)
def test_a_format_that_agrees_with_the_suffix_is_taken(format: Any, suffix: str) -> None:
    isthmus.compress_files("photos/0.png", out="a.isth", model=CODEC)
    isthmus.decompress_files("a.isth", out=f"a.{suffix}", model=CODEC, format=format)
    with Image.open(f"a.{suffix}") as image:
        assert image.format == {"jp": "JPEG", "ti": "TIFF", "pn": "PNG"}[format[:2]]


@pytest.mark.usefixtures("photos")
def test_files_keep_the_time_of_what_they_were_made_from() -> None:
    os.utime("photos/0.png", ns=(1_000_000_000, 1_234_567_890_000_000_000))
    isthmus.compress_files("photos/0.png", out="a.isth", model=CODEC)
    isthmus.decompress_files("a.isth", out="a.png", model=CODEC)
    assert [Path(name).stat().st_mtime for name in ("a.isth", "a.png")] == [1_234_567_890] * 2


@pytest.mark.usefixtures("photos")
def test_jpeg_files_have_the_quality_that_was_asked_for() -> None:
    isthmus.compress_files("photos/0.png", out="a.isth", model=CODEC)
    for format in ("jpg", "jpeg"):
        isthmus.decompress_files("a.isth", out=format, model=CODEC, format=format, jpeg_quality=20)
    isthmus.decompress_files("a.isth", out="a.jpeg", model=CODEC, jpeg_quality=90)
    steps = []
    for name in ("jpg/a.jpg", "jpeg/a.jpg", "a.jpeg"):
        with Image.open(name) as image:
            steps.append(sum(image.quantization[0]))  # type: ignore[attr-defined]
    assert steps[0] == steps[1] > 4 * steps[2]
    with pytest.raises(UsageError, match="without JPEG files"):
        isthmus.decompress_files("a.isth", out="b.png", model=CODEC, jpeg_quality=90)
    with pytest.raises(UsageError, match="1 to 100"):
        isthmus.decompress_files("a.isth", out="b.jpg", model=CODEC, jpeg_quality=101)


@pytest.mark.usefixtures("photos")
def test_previews_come_out_without_the_model() -> None:
    faded = np.full((40, 60, 4), 90, np.uint8)
    Image.fromarray(faded).save("faded.png")
    isthmus.compress_files("faded.png", out="small/faded.isth", model=CODEC, preview=16)
    isthmus.compress_files("photos/0.png", out="small/plain.isth", model=CODEC)
    done = isthmus.decompress_files("small", out="previews", preview_only=True)
    assert [(Path(file.file).name, file.size) for file in done.files] == [("faded.png", (11, 16))]
    shown = isthmus.read_preview("small/faded.isth")
    assert shown is not None and np.array_equal(pixels_of("previews/faded.png"), shown)
    assert [(file.name, file.id) for file in done.skipped] == [("plain.isth", "compressed-file.no-preview")]
    assert done.model is None
    with pytest.raises(DataError, match=r"plain\.isth: no preview"):
        isthmus.decompress_files("small/plain.isth", out="x.png", preview_only=True)
    with pytest.raises(UsageError, match="on previews"):
        isthmus.decompress_files("small", out="x", preview_only=True, keep_going=True)
