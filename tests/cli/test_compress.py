"""compress, decompress, verify and info on files: what is written, kept, skipped and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.__main__ import main

MODEL = str(Path(__file__).parents[1] / "codec" / "golden" / "model.safetensors")
Document = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with photos/: three images, one of them transparent, one in a sub-folder."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :40]
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name, channels in (("a.png", 3), ("b.png", 4), ("deep/c.png", 3)):
        waves = 127 + 100 * np.sin(rows[..., None] / 9 + columns[..., None] / random.uniform(3, 9, channels))
        Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_a_folder_becomes_files_and_images_again(folder: Path, document: Document) -> None:
    result = document("compress", "photos", "-o", "small", "--model", MODEL, "--verify")
    assert [Path(f["file"]).as_posix() for f in result["files"]] == [
        "small/a.isth", "small/b.isth", "small/deep/c.isth",
    ]  # fmt: skip
    for file in result["files"]:
        size = (folder / file["file"]).stat().st_size
        assert file["bytes"] == size
        assert file["bpp"] == pytest.approx(8 * size / (48 * 40))
        assert 10 < file["psnr"] < 60
    again = document("decompress", "small", "-o", "again", "--model", MODEL)
    assert [f["size"] for f in again["files"]] == [[48, 40]] * 3
    for name, file in zip(("a", "b", "deep/c"), result["files"], strict=True):
        before, after = pixels(f"photos/{name}.png"), pixels(f"again/{name}.png")
        assert after.shape == before.shape
        mean = ((before - after)[..., :3] ** 2).mean()
        assert -10 * np.log10(mean / 255**2) == pytest.approx(file["psnr"], abs=1e-6)


@pytest.mark.usefixtures("folder")
def test_what_is_there_already_is_left(document: Document, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compress", "photos", "-o", "small", "--model", MODEL]
    assert main([*words, "--jobs", "1"]) == 0  # the old spelling of --workers
    assert "3 images compressed" in capsys.readouterr().out
    Path("small/b.isth").unlink()
    result = document(*words)
    assert (len(result["files"]), result["already_there"]) == (1, 2)
    assert len(document(*words, "--force")["files"]) == 3


@pytest.mark.usefixtures("folder")
def test_one_output_that_exists_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compress", "photos/a.png", "-o", "a.isth", "--model", MODEL]
    assert main(words) == 0
    assert main(words) == 1
    assert "hint: repeat the command with --force" in capsys.readouterr().err
    assert main([*words, "--force", "--verify"]) == 0
    assert "every file verified" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_broken_image_does_not_stop_the_others(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("photos/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    Image.fromarray(np.zeros((9, 9), np.uint16)).save("photos/deep.png")
    result = document("compress", "photos", "-o", "small", "--model", MODEL, code=3)
    assert len(result["files"]) == 3
    assert [item["name"] for item in result["skipped"]] == ["broken.png", "deep.png"]
    assert "8 bits" in result["skipped"][1]["reason"]
    assert main(["compress", "photos/broken.png", "-o", "x.isth", "--model", MODEL]) == 1
    assert "broken.png" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_damage_is_named_and_may_be_passed_over(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compress", "photos", "-o", "small", "--model", MODEL]) == 0
    data = bytearray(Path("small/a.isth").read_bytes())
    data[60] ^= 1
    Path("small/a.isth").write_bytes(data)
    capsys.readouterr()
    assert main(["decompress", "small/a.isth", "-o", "a.png", "--model", MODEL]) == 1
    assert "small/a.isth: damaged: tile 0 does not match its checksum" in capsys.readouterr().err
    result = document("decompress", "small", "-o", "out", "--model", MODEL, code=3)
    assert [item["name"] for item in result["skipped"]] == ["a.isth"]
    assert [item["id"] for item in result["skipped"]] == ["compressed-file.chunk-checksum"]
    result = document("decompress", "small", "-o", "out2", "--model", MODEL, "--keep-going", code=3)
    # Its only tile is damaged, so nothing of the picture is left to write.
    assert [item["name"] for item in result["skipped"]] == ["a.isth"]
    assert [f["damage"] for f in result["files"]] == [[], []]
    result = document("verify", "small", code=3)
    assert [Path(item["name"]).name for item in result["skipped"]] == ["a.isth"]
    assert [item["id"] for item in result["skipped"]] == ["compressed-file.chunk-checksum"]
    assert len(result["files"]) == 2
    assert main(["verify", "small/a.isth"]) == 1
    assert main(["verify", "small/b.isth", "--model", MODEL]) == 0


@pytest.mark.usefixtures("folder")
def test_a_region_and_a_format(document: Document) -> None:
    assert main(["compress", "photos/a.png", "-o", "a.isth", "--model", MODEL, "--preview", "16"]) == 0
    assert main(["decompress", "a.isth", "-o", "a.png", "--model", MODEL]) == 0
    words = ["decompress", "a.isth", "-o", "part", "--format", "bmp", "--region", "10x20+5+7"]
    result = document(*words, "--model", MODEL)
    assert result["files"][0]["size"] == [20, 10]
    assert np.abs(pixels("part/a.bmp") - pixels("a.png")[7:27, 5:15]).max() <= 1
    assert main(["decompress", "a.isth", "-o", "x.png", "--region", "10x20", "--model", MODEL]) == 2
    assert main(["decompress", "a.isth", "-o", "x.png", "--region", "99x9+0+0", "--model", MODEL]) == 2
    facts = document("info", "a.isth")
    assert (facts["size"], facts["quality"], facts["tiles"]) == ([48, 40], 50, 1)
    assert sum(facts["parts"].values()) == facts["bytes"] == Path("a.isth").stat().st_size


@pytest.mark.usefixtures("folder")
def test_a_format_without_transparency_gets_white(document: Document) -> None:
    assert main(["compress", "photos/b.png", "-o", "b.isth", "--model", MODEL, "--quality", "90"]) == 0
    document("decompress", "b.isth", "-o", "b.png", "--model", MODEL)
    document("decompress", "b.isth", "-o", "b.bmp", "--model", MODEL)
    with_alpha, laid = pixels("b.png"), pixels("b.bmp")
    opacity = with_alpha[..., 3:] / 255
    assert np.abs(with_alpha[..., :3] * opacity + 255 * (1 - opacity) - laid).max() <= 0.51


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["compress", "photos/a.png", "-o", "x.isth", "--quality", "0"], 2, "out of range"),
        (["compress", "photos/a.png", "-o", "x.isth", "--bpp", "1", "--psnr", "30"], 2, "choose one"),
        (["compress", "photos", "-o", "x.isth"], 1, "names one file"),
        (["compress", "photos/a.png", "-o", "x.png"], 1, "name must end with .isth"),
        (["compress", "photos/none.png", "-o", "x.isth"], 1, "no such file"),
        (["compress", "photos/a.png", "-o", "x.isth", "--model", "photos/a.png"], 2, "not a model file"),
        (["compress", "photos/a.png", "-o", "x.isth", "--max-pixels", "0.001"], 1, "the limit of max_pixels"),
        (["decompress", "photos/a.png", "-o", "x.png"], 1, "not a compressed image"),
        (["decompress", "photos", "-o", "x"], 1, "no .isth files"),
        (["verify", "photos/a.png"], 1, "not a compressed image"),
        (["info", "none.isth"], 1, "no such file"),
    ],
)
def test_errors_are_one_line(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [] if "--model" in words or words[0] in ("verify", "info") else ["--model", MODEL]
    assert main([*words, *own]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("isthmus: error:")]
    assert len(errors) == 1
    assert message in errors[0]
