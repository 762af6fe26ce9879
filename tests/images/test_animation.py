"""Frames that are written are the frames that are read, and one place holds many images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import DataError, OutputError
from isthmus.images.animation import MILLISECONDS, milliseconds_of, read_frames, write_frames
from isthmus.images.outputs import check_free, write_images
from isthmus.images.reading import read


def frames(count: int = 4, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 10, 12, channels), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_animations_come_back(suffix: str, channels: int, tmp_path: Path) -> None:
    given = frames(channels=channels)
    path = tmp_path / f"a{suffix}"
    write_frames(path, given)
    read_back = read_frames(path)
    assert np.array_equal(np.asarray(read_back.pixels), given)


def test_a_gif_comes_back_gray(tmp_path: Path) -> None:
    given = np.repeat(frames()[:, :, :, :] // 64 * 64, 1, 0)
    write_frames(tmp_path / "a.gif", given)
    assert np.array_equal(np.asarray(read_frames(tmp_path / "a.gif").pixels), given)


def test_a_folder_is_a_sequence_in_the_order_of_its_names(tmp_path: Path) -> None:
    given = frames(12)
    write_images(tmp_path / "s", given)
    assert np.array_equal(np.asarray(read_frames(tmp_path / "s").pixels), given)


def test_numbers_in_names_count_by_their_value(tmp_path: Path) -> None:
    given = frames(12)
    for index, frame in enumerate(given):
        Image.fromarray(frame[..., 0]).save(tmp_path / f"shot{index}.png")
    assert np.array_equal(np.asarray(read_frames(tmp_path).pixels), given)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_says_how_long_its_frames_are_shown(suffix: str, tmp_path: Path) -> None:
    write_frames(tmp_path / f"a{suffix}", frames(), milliseconds=120)
    assert milliseconds_of(tmp_path / f"a{suffix}") == 120
    assert milliseconds_of(tmp_path) == MILLISECONDS


def test_small_frames_are_enlarged_and_played_back(tmp_path: Path) -> None:
    write_frames(tmp_path / "a.gif", frames(5), least=60, there_and_back=True)
    with Image.open(tmp_path / "a.gif") as opened:
        assert (opened.size, getattr(opened, "n_frames", 1)) == ((60, 50), 8)


def test_what_is_no_sequence_is_refused(tmp_path: Path) -> None:
    Image.fromarray(frames()[0, ..., 0]).save(tmp_path / "one.png")
    with pytest.raises(DataError, match="at least two frames"):
        read_frames(tmp_path / "one.png")
    (tmp_path / "bad.gif").write_bytes(b"GIF89a nonsense")
    with pytest.raises(DataError, match="cannot be read as an animation"):
        read_frames(tmp_path / "bad.gif")
    with pytest.raises(OutputError, match="animation must end with"):
        write_frames(tmp_path / "a.jpg", frames())


def test_many_images_go_where_the_name_says(tmp_path: Path) -> None:
    given, labels = frames(6), np.array([0, 1, 0, 1, 0, 1])
    write_images(tmp_path / "a.npz", given, labels=labels)
    assert np.array_equal(np.asarray(read(tmp_path / "a.npz").pixels), given)
    assert read(tmp_path / "a.npz").labels is not None
    write_images(tmp_path / "sheet.png", given, columns=3, scale=1)
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (22, 40)
    files = write_images(tmp_path / "folder", given, labels=labels, classes=("a", "b"))
    assert len(files) == 6
    read_back = read(tmp_path / "folder")
    assert read_back.classes == ("a", "b")
    with pytest.raises(OutputError, match="nothing was written"):
        write_images(tmp_path / "folder", given, labels=labels, classes=("a", "b"))


@pytest.mark.parametrize("name", ["new.npy", "new.mp4", "new.txt"])
def test_a_file_that_is_not_written_is_no_folder(name: str, tmp_path: Path) -> None:
    for write in (check_free, lambda place, force: write_images(place, frames(), force=force)):
        with pytest.raises(OutputError, match="cannot write"):
            write(tmp_path / name, False)
    assert list(tmp_path.iterdir()) == []
    write_images(tmp_path / "v1.2", frames())
    assert (tmp_path / "v1.2" / "00003.png").is_file()


def test_labels_are_not_lost_in_a_picture(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot store labels"):
        write_images(tmp_path / "a.png", frames(2), labels=np.array([0, 1]))
