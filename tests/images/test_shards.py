"""Tar shards: samples, labels, broken members, and pixels on a memory map."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from isthmus.errors import DataError
from isthmus.images.batches import Batches
from isthmus.images.mapped import let_go, room
from isthmus.images.reading import read
from isthmus.images.store import ImageSet

from .files import photo

TarMode = Literal["w", "w:gz", "w:xz", "w:bz2"]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def shard(path: Path, files: dict[str, bytes], mode: TarMode = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def samples(start: int, count: int) -> dict[str, bytes]:
    files = {}
    for i in range(start, start + count):
        files[f"{i:05}.png"] = png(photo(6, 5, seed=i))
        files[f"{i:05}.cls"] = str(i % 11).encode()
    return files


def test_a_folder_of_shards_is_read_in_order_with_its_classes(tmp_path: Path) -> None:
    shard(tmp_path / "d/b.tar", samples(13, 12))
    shard(tmp_path / "d/a.tar", samples(0, 13))
    images = read(tmp_path / "d")
    assert len(images) == 25
    assert images.names[0] == "a.tar/00000.png"
    assert all(np.array_equal(images.image(i), photo(6, 5, seed=i)) for i in range(25))
    assert images.classes == tuple(map(str, range(11)))  # by number, not by letter
    assert images.labels is not None
    assert images.labels.tolist() == [i % 11 for i in range(25)]


def test_json_words_folders_and_other_files_in_a_sample(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "one.tar",
        {
            "x/1.seg.png": png(photo(4, 4, seed=1)),  # the first image of a sample counts
            "x/1.png": png(photo(4, 4, seed=2)),
            "x/1.json": json.dumps({"caption": "?", "label": "dog"}).encode(),
            "y/1.txt": b"a text alone is no sample",
            "y/2.jpg": b"",
            "y/2.json": json.dumps({"cls": "cat"}).encode(),
            "._hidden.png": b"x",
            "z.png": png(photo(4, 4, seed=3)),
            "z.cls": b"cat",
        },
    )
    images = read(path)
    assert images.names == ("one.tar/x/1.seg.png", "one.tar/z.png")
    assert images.classes == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0]
    assert [(s.name, s.reason) for s in images.skipped] == [("one.tar/y/2.jpg", "empty (0 bytes)")]


def test_without_a_label_on_every_image_there_are_none(tmp_path: Path) -> None:
    files = samples(0, 3)
    del files["00001.cls"]
    assert read(shard(tmp_path / "a.tar", files)).labels is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is not an archive" * 60, "not a readable tar"),
        (b"", "not a readable tar"),
    ],
)
def test_what_is_no_archive_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.tar")


def test_a_cut_shard_is_refused_or_its_last_image_named(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {f"{i}.png": png(photo(30, 30, seed=i)) for i in range(3)})
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(DataError, match=r"a\.tar: not a readable tar archive"):
        read(path)


def test_compressed_and_empty_archives_are_refused(tmp_path: Path) -> None:
    packed = shard(tmp_path / "a.tar.gz", samples(0, 2), "w:gz")
    with pytest.raises(DataError, match="must not be compressed"):
        read(packed)
    with pytest.raises(DataError, match="no images in the archive"):
        read(shard(tmp_path / "b.tar", {"1.txt": b"x"}))


def test_a_cache_holds_the_pixels_and_their_hashes(tmp_path: Path) -> None:
    shard(tmp_path / "d/a.tar", samples(0, 20))
    plain = read(tmp_path / "d")
    first = read(tmp_path / "d", cache=tmp_path / "cache")
    again = read(tmp_path / "d", cache=tmp_path / "cache")
    for mapped in (first, again):
        assert mapped.memory_mapped
        assert not plain.memory_mapped
        assert mapped.names == plain.names
        assert mapped.fingerprint() == plain.fingerprint()
        assert np.array_equal(mapped.hashes(), plain.hashes())
        assert np.array_equal(mapped.stack(range(20)), plain.stack(range(20)))
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1
    shard(tmp_path / "d/b.tar", samples(20, 5))
    assert len(read(tmp_path / "d", cache=tmp_path / "cache")) == 25
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1  # the earlier state is gone


def test_a_large_buffer_lies_in_a_file_and_survives_letting_go(cache: Path) -> None:
    pixels = room((50, 30, 30, 3), np.uint8, above=1000)
    assert isinstance(pixels, np.memmap)
    pixels[:] = np.arange(50, dtype=np.uint8)[:, None, None, None]
    let_go(pixels)
    assert pixels[:, 3, 4, 1].tolist() == list(range(50))
    assert list((cache / "buffers").iterdir()) == []  # nothing to clean up, however a run ends
    assert not isinstance(room((5, 3, 3, 3), np.uint8, above=1000), np.memmap)


@pytest.mark.parametrize("how", [{}, {"balance": True}, {"crop": (4, 4)}, {"orientations": 8}])
def test_shares_together_are_the_batch_of_one_process(how: dict[str, object], tmp_path: Path) -> None:
    images = read(shard(tmp_path / "a.tar", samples(0, 23)), cache=tmp_path / "cache")
    in_memory = ImageSet(images.stack(range(23)), images.names, images.labels, images.classes)
    alone = Batches(in_memory, batch=7, seed=3, **how)  # type: ignore[arg-type]
    parts = [Batches(images, batch=7, seed=3, share=(i, 3), **how) for i in range(3)]  # type: ignore[arg-type]
    for step in range(9):
        expected, part_batches = alone(step), [part(step) for part in parts]
        assert np.array_equal(
            np.concatenate([f.images.numpy() for f in part_batches]), expected.images.numpy()
        )
        assert [i for f in part_batches for i in f.indices] == expected.indices.tolist()
        assert [(f.part.start, f.part.stop, f.total) for f in part_batches] == [
            (0, 2, 7),
            (2, 4, 7),
            (4, 7, 7),
        ]


def test_members_with_strange_names_are_read_and_links_are_named(tmp_path: Path) -> None:
    place = tmp_path / "strange.tar"
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(stream, "PNG")
    content = stream.getvalue()
    names = ["a.png", "..\\..\\b.png", "..\\c.png", "../../d.png", "..e.png"]
    with tarfile.open(place, "w") as archive:
        for name in [*names, ".hidden.png"]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("f.png")
        link.type, link.linkname = tarfile.LNKTYPE, "a.png"
        archive.addfile(link)
    images = read(place)
    assert list(images.names) == [f"strange.tar/{name}" for name in names]
    assert [skipped.name for skipped in images.skipped] == ["strange.tar/f.png"]
