"""A folder in: labels, mixtures, broken files, and the cached memory map."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import DataError, UsageError
from isthmus.images.reading import read
from isthmus.images.runs import ReadOptions
from isthmus.images.store import Ragged

from .files import bomb, cut, photo, save
from .folders import read_folder


def test_sub_folders_are_labels_in_path_order(tmp_path: Path) -> None:
    for name in ("dog/2.png", "cat/deep/1.png", "dog/1.png", "Ünïcode 猫/β.png"):
        save(tmp_path / "d" / name, photo(4, 5, seed=len(name)))
    images = read_folder(tmp_path / "d")
    assert images.names == ("cat/deep/1.png", "dog/1.png", "dog/2.png", "Ünïcode 猫/β.png")
    assert images.classes == ("cat", "dog", "Ünïcode 猫")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 1, 2]
    assert images.shape == (4, 5, 3)
    assert images.notes == ()


def test_one_image_outside_a_sub_folder_means_no_labels(tmp_path: Path) -> None:
    save(tmp_path / "d/cat/1.png", photo(4, 4))
    save(tmp_path / "d/2.png", photo(4, 4))
    images = read_folder(tmp_path / "d")
    assert images.labels is None
    assert images.classes == ()


def test_hidden_and_other_files_are_passed_over_silently(tmp_path: Path) -> None:
    save(tmp_path / "d/a.png", photo(4, 4))
    for name in (".hidden.png", "notes.txt", ".git/x.png", "__MACOSX/._a.png"):
        (tmp_path / "d" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "d" / name).write_text("not an image")
    images = read_folder(tmp_path / "d")
    assert images.names == ("a.png",)
    assert images.skipped == ()


def test_pixels_come_in_the_order_of_names(tmp_path: Path) -> None:
    originals = {f"{i:03}.png": photo(3, 3, seed=i) for i in range(60)}
    for name, pixels in originals.items():
        save(tmp_path / "d" / name, pixels)
    images = read_folder(tmp_path / "d")
    assert all(np.array_equal(images.image(i), originals[name]) for i, name in enumerate(images.names))


def test_a_hundred_broken_of_a_thousand(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    good = save(folder / "0000.png", photo(2, 2)).read_bytes()
    broken = set(range(5, 1000, 10))
    wrong = [b"", b"text named png", good[:20], good[:-30]]
    for i in range(1000):
        (folder / f"{i:04}.png").write_bytes(wrong[i % 4] if i in broken else good)
    progress: list[tuple[int, int]] = []
    images = read_folder(folder, ReadOptions(progress=lambda done, total: progress.append((done, total))))
    assert len(images) == 900
    assert [s.name for s in images.skipped] == [f"{i:04}.png" for i in sorted(broken)]
    assert all(s.reason and "\n" not in s.reason and str(folder) not in s.reason for s in images.skipped)
    assert progress[-1][0] == progress[-1][1]
    assert [done for done, _ in progress] == list(range(1, progress[-1][1] + 1))


def test_bombs_and_truncated_files_are_skipped_each_with_its_reason(tmp_path: Path) -> None:
    save(tmp_path / "d/a.png", photo(64, 64))
    cut(save(tmp_path / "d/b.jpg", photo(64, 64)))
    bomb(tmp_path / "d/c.png", 60_000, 60_000)
    images = read_folder(tmp_path / "d")
    assert images.names == ("a.png",)
    assert [s.name for s in images.skipped] == ["b.jpg", "c.png"]
    assert "truncated" in images.skipped[0].reason
    assert "megapixels" in images.skipped[1].reason
    assert images.shape == (64, 64, 3)


def test_gray_among_colour_becomes_colour_and_is_said(tmp_path: Path) -> None:
    gray, colour = photo(4, 4, 1), photo(4, 4, 3)
    save(tmp_path / "d/a.png", gray)
    save(tmp_path / "d/b.png", colour)
    images = read_folder(tmp_path / "d")
    assert images.notes == ("1 of 2 images is colour: all read as colour",)
    assert np.array_equal(images.image(0), np.repeat(gray, 3, axis=2))
    assert np.array_equal(images.image(1), colour)
    forced = read_folder(tmp_path / "d", ReadOptions(channels=1))
    assert np.array_equal(forced.image(0), gray)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(forced.image(1)[..., 0] - luma).max() <= 0.5 + 1e-9


def test_mixed_bits_are_scaled_to_sixteen(tmp_path: Path) -> None:
    save(tmp_path / "d/a.png", np.array([[0, 128, 255]], np.uint8))
    save(tmp_path / "d/b.png", np.array([[0, 1000, 65535]], np.uint16))
    images = read_folder(tmp_path / "d")
    assert images.dtype == np.uint16
    assert images.image(0)[0, :, 0].tolist() == [0, 128 * 257, 65535]
    assert images.image(1)[0, :, 0].tolist() == [0, 1000, 65535]
    assert any("uint16" in note for note in images.notes)


def test_mixed_sizes_stay_unless_a_size_is_given(tmp_path: Path) -> None:
    pixels = [photo(8, 12), photo(20, 10)]
    for i, image in enumerate(pixels):
        save(tmp_path / f"d/{i}.png", image)
    images = read_folder(tmp_path / "d")
    assert isinstance(images.pixels, Ragged)
    assert all(np.array_equal(images.image(i), image) for i, image in enumerate(pixels))
    assert any("mixed" in note for note in images.notes)
    equal = read_folder(tmp_path / "d", ReadOptions(size=(6, 6)))
    assert equal.shape == (6, 6, 3)
    assert isinstance(equal.pixels, np.ndarray)


def test_sizes_are_equal_again_when_the_odd_one_is_broken(tmp_path: Path) -> None:
    save(tmp_path / "d/a.png", photo(4, 4))
    cut(save(tmp_path / "d/b.jpg", photo(64, 64)))
    assert read_folder(tmp_path / "d").shape == (4, 4, 3)


@pytest.mark.parametrize("mixed", [False, True])
def test_large_sets_are_mapped_cached_and_reused(tmp_path: Path, cache: Path, mixed: bool) -> None:
    for i in range(6):
        save(tmp_path / f"d/{'ab'[i % 2]}/{i}.png", photo(8, 8 + mixed * i, seed=i))
    cut(save(tmp_path / "d/a/broken.jpg", photo(64, 64)))
    (tmp_path / "d/b/empty.png").write_bytes(b"")
    plain = read_folder(tmp_path / "d")
    calls: list[int] = []

    def read() -> object:
        return read_folder(
            tmp_path / "d", ReadOptions(map_above=10, progress=lambda done, _: calls.append(done))
        )

    mapped = read()
    assert mapped.memory_mapped  # type: ignore[attr-defined]
    assert not plain.memory_mapped
    assert calls
    calls.clear()
    again = read()
    assert calls == []  # nothing was decoded
    for images in (mapped, again):
        assert images.fingerprint() == plain.fingerprint()  # type: ignore[attr-defined]
        for field in ("names", "classes", "skipped", "shape"):
            assert getattr(images, field) == getattr(plain, field)
        assert images.labels.tolist() == plain.labels.tolist()  # type: ignore[attr-defined, union-attr]
    # A changed file is another set, and the former one makes room for it.
    os.utime(tmp_path / "d/a/0.png", ns=(1, 1))
    read()
    assert calls
    assert not list(cache.rglob("*.part"))
    assert len(list(cache.rglob("*.pixels"))) == len(list(cache.rglob("*.npz"))) == 1


def test_other_requests_for_a_folder_keep_their_cached_pixels(tmp_path: Path, cache: Path) -> None:
    for i in range(3):
        save(tmp_path / f"d/{i}.png", photo(8, 8, seed=i))
    for size in ((4, 4), (6, 6), None):
        read_folder(tmp_path / "d", ReadOptions(size=size, map_above=10))
    assert len(list(cache.rglob("*.pixels"))) == 3


def test_further_pages_and_frames_are_said_to_be_left_out(tmp_path: Path) -> None:
    pages = [Image.fromarray(photo(6, 6, seed=i)) for i in range(3)]
    for name in ("stack.tif", "film.gif"):
        (tmp_path / "d").mkdir(exist_ok=True)
        pages[0].save(tmp_path / "d" / name, save_all=True, append_images=pages[1:])
    save(tmp_path / "d/one.png", photo(6, 6))
    assert read_folder(tmp_path / "d").notes[-1].startswith("2 of 3 files hold several pages or frames")
    assert "several pages" in read(tmp_path / "d/stack.tif").notes[0]
    assert read(tmp_path / "d/one.png").notes == ()


def test_a_damaged_cache_is_made_again(tmp_path: Path, cache: Path) -> None:
    for i in range(3):
        save(tmp_path / f"d/{i}.png", photo(4, 4, seed=i))
    plain = read_folder(tmp_path / "d")
    for pattern in ("*.pixels", "*.npz"):
        read_folder(tmp_path / "d", ReadOptions(map_above=0))
        (damaged,) = cache.rglob(pattern)
        damaged.write_bytes(damaged.read_bytes()[:7])
        assert read_folder(tmp_path / "d", ReadOptions(map_above=0)).fingerprint() == plain.fingerprint()


def test_nothing_to_read_is_said_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images in it .*PNG, JPEG") as caught:
        read_folder(tmp_path / "empty")
    assert caught.value.hint is not None
    (tmp_path / "empty/train-images-idx3-ubyte.gz").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path / "empty")
    assert "train-images-idx3-ubyte.gz" in str(caught.value.hint)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.png").write_bytes(b"")
    cut(save(tmp_path / "bad/b.jpg", photo(64, 64)))
    with pytest.raises(DataError, match="none of its 2 images can be read"):
        read_folder(tmp_path / "bad")
    with pytest.raises(UsageError, match="size"):
        read_folder(tmp_path / "bad", ReadOptions(size=(0, 4)))


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_not_unicode_can_be_printed(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    source = save(folder / "a.png", photo(2, 2))
    source.rename(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
    (name,) = read_folder(folder).names
    assert name.encode().decode() == name


def test_sixteen_bit_gray_among_colour_is_read_with_eight(tmp_path: Path) -> None:
    save(tmp_path / "colour.png", photo(8, 8))
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8, 1)
    save(tmp_path / "deep.png", deep)
    images = read_folder(tmp_path, ReadOptions(size=None, channels=None, max_pixels=10**6))
    assert images.dtype == np.uint8
    assert images.channels == 3
    expected = np.round(deep[..., 0] / 65535 * 255)
    assert np.abs(images.image(images.names.index("deep.png"))[..., 0] - expected).max() <= 1
