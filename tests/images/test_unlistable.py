"""Folders that cannot be listed, cached pixels that are damaged, and two processes at one cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.api.compressed_inputs import list_compressed
from isthmus.errors import BusyError, DataError
from isthmus.images.reading import read
from isthmus.images.runs import ReadOptions
from isthmus.locks import exclusive

from .files import photo, save
from .folders import read_folder


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes folders that cannot be listed, also for root."""
    real = os.scandir
    closed: set[str] = set()

    def scandir(path: Any = ".") -> Any:
        if os.fspath(path) in closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return lambda folder: closed.add(str(folder))


def test_a_sub_folder_that_cannot_be_listed_is_skipped_by_name(
    tmp_path: Path, locked: Callable[[Path], None]
) -> None:
    for name in ("a/1.png", "b/deep/2.png", "b/3.png", "c/4.png"):
        save(tmp_path / "d" / name, photo(4, 4, seed=len(name)))
    locked(tmp_path / "d" / "b" / "deep")
    locked(tmp_path / "d" / "c")
    for images in (read_folder(tmp_path / "d"), read(tmp_path / "d", cache=tmp_path / "cache")):
        assert images.names == ("a/1.png", "b/3.png")
        assert [skipped.name for skipped in images.skipped] == ["b/deep/", "c/"]
        assert all("cannot be listed" in skipped.reason for skipped in images.skipped)


def test_a_top_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, locked: Callable[[Path], None]
) -> None:
    save(tmp_path / "d" / "1.png", photo(4, 4))
    locked(tmp_path / "d")
    with pytest.raises(DataError, match="cannot be listed"):
        read(tmp_path / "d")


def test_links_to_folders_are_followed_and_each_folder_is_read_once(tmp_path: Path) -> None:
    for name in ("d/real/1.png", "elsewhere/2.png", "elsewhere/deep/3.png"):
        save(tmp_path / name, photo(4, 4, seed=len(name)))
    for name, target in (
        ("a", "d/real"),  # read under its own name
        ("link", "elsewhere"),
        ("twice", "elsewhere"),
        ("real/up", "d"),
        (".hidden", "elsewhere"),
        ("broken", "nowhere"),
    ):
        (tmp_path / "d" / name).symlink_to(tmp_path / target)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "d" / "link")
    (tmp_path / "d" / "circle").symlink_to("circle")
    images = read_folder(tmp_path / "d")
    assert images.names == ("link/2.png", "link/deep/3.png", "real/1.png")
    assert (images.classes, images.skipped) == (("link", "real"), ())
    assert images.notes[-2:] == (
        "1 link to a folder is followed (link/)",
        "4 links to folders are not followed, for the folder is read already "
        "(a/, link/back/, real/up/ and 1 more)",
    )


def test_compressed_files_in_linked_folders_are_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("d/1.isth", "elsewhere/2.isth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d" / "link").symlink_to(tmp_path / "elsewhere")
    assert [name for _, name in list_compressed(tmp_path / "d").files] == ["1.isth", "link/2.isth"]
    assert "1 link to a folder is followed (link/)" in caplog.text


def test_damaged_cache_files_of_any_length_are_made_anew(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "d" / f"{number}.png", photo(4, 5, seed=number))
    cache = tmp_path / "cache"
    first = np.array(read_folder(tmp_path / "d", ReadOptions(cache=cache)).pixels)
    for suffix in (".npz", ".pixels"):
        (file,) = cache.glob(f"*{suffix}")
        content = file.read_bytes()
        for length in (0, 1, 4, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:length])
            assert np.array_equal(
                np.asarray(read_folder(tmp_path / "d", ReadOptions(cache=cache)).pixels), first
            )
            assert file.read_bytes() == content
        file.write_bytes(b"PK\x03\x04" + bytes(60))
        assert np.array_equal(np.asarray(read_folder(tmp_path / "d", ReadOptions(cache=cache)).pixels), first)
    assert sorted(path.suffix for path in cache.iterdir()) == [".npz", ".pixels"]


def test_a_second_process_at_one_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.images import pool

    save(tmp_path / "d" / "1.png", photo(4, 4))
    real = pool.into_cache
    refused: list[str] = []

    def slow(*args: Any, entry: Path, **options: Any) -> pool.Decoded:
        # While this one decodes, another begins.
        with pytest.raises(BusyError) as raised, exclusive(entry.with_name(entry.name.partition("-")[0])):
            pass
        refused.append(raised.value.message)
        return real(*args, entry=entry, **options)

    monkeypatch.setattr(pool, "into_cache", slow)
    assert len(read_folder(tmp_path / "d", ReadOptions(cache=tmp_path / "cache"))) == 1
    assert len(refused) == 1
    assert not list((tmp_path / "cache").glob(".*"))
