"""What lies in a folder and is not read: other kinds of file, archives, images beside the class folders."""

from __future__ import annotations

import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.images import heif
from isthmus.images.unread_kinds import UnreadFiles, find_kind


def write_images(folder: Path, count: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.full((8, 8), 40 * index, np.uint8)).save(folder / f"{index}.png")


def write_archive(path: Path) -> None:
    write_images(path.parent.parent / "packed")
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent.parent / "packed" / "0.png", "0.png")


def test_other_kinds_of_image_are_counted_and_named(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    for name in (
        "b.JXL",
        "c.jxl",
        "sub/d.jxl",
        "sub/e.jxl",
        "f.psd",
        "g.CR2",
        ".hidden.jxl",
        "notes.txt",
    ):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"x")
    images = isthmus.read(tmp_path / "a")
    assert images.names == ("0.png", "1.png")
    jxl, raw, editor = images.notes
    assert jxl.startswith("not read: 4 JPEG XL files (b.JXL, c.jxl, sub/d.jxl and 1 more); convert")
    assert editor.startswith("not read: 1 editor file (f.psd); ")
    assert raw.startswith("not read: 1 camera raw file (g.CR2); develop")
    done = isthmus.denoise_files(tmp_path / "a", out=tmp_path / "out", sigma=1)
    assert list(done.notes[:3]) == list(images.notes)


def test_a_folder_of_other_kinds_alone_has_the_advice_as_hint(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"x")
    with pytest.raises(DataError, match="no images in it") as caught:
        isthmus.read(tmp_path)
    assert "1 JPEG XL file (a.jxl)" in str(caught.value.hint)


def test_the_extra_that_reads_heic_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files = UnreadFiles()
    files.add("a.HEIC", "sub/a.HEIC")
    assert files.notes() == ("not read: 1 HEIC file (sub/a.HEIC); pip install 'isthmus[formats]' reads them",)
    monkeypatch.setattr(heif, "IS_READ", False)
    kind_found = find_kind("a.jpg", b"\0\0\0\x18ftypheic")
    assert kind_found == ("HEIC", "pip install 'isthmus[formats]' reads them")


@pytest.mark.parametrize("folders", [("a",), ("a/x", "a/y")])
def test_an_archive_among_images_replaces_nothing_and_is_named(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    for folder in folders:
        write_images(tmp_path / folder)
    write_archive(tmp_path / "a" / "old.tar")
    images = isthmus.read(tmp_path / "a")
    assert len(images) == 2 * len(folders)
    assert images.notes == (
        "not read: 1 archive among the image files (old.tar); give them by their own path",
    )
    assert (images.labels is not None) == (len(folders) == 2)
    alone = tmp_path / "shards"
    alone.mkdir()
    write_archive(alone / "one.tar")
    assert isthmus.read(alone).names == ("one.tar/0.png",)


def test_images_beside_class_folders_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "a" / "cat")
    write_images(tmp_path / "a" / "dog")
    write_images(tmp_path / "a", 1)
    images = isthmus.read(tmp_path / "a")
    assert (len(images), images.labels) == (5, None)
    assert "1 image lies beside the 2 class folders (0.png): labels are not read" in images.notes[0]
    (tmp_path / "a" / "0.png").unlink()
    again = isthmus.read(tmp_path / "a")
    assert (again.classes, again.notes) == (("cat", "dog"), ())


def test_comments_before_a_drawing_are_passed_in_no_time() -> None:
    start = time.monotonic()
    assert find_kind("a.png", b"<?xml?>" + b"<!---->" * 140) is None
    assert find_kind("a.png", b"<?xml?>" + b"<!-- x -->" * 90 + b"<svg") == (
        "vector drawing",
        "draw them as PNG first",
    )
    assert time.monotonic() - start < 1
