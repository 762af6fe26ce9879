"""A file of a kind that is not read is named as what it is, by every use, alone and in a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.errors import DataError

JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64)
MODEL = "photos.safetensors"
USES: dict[str, Callable[[str], Any]] = {
    "read": isthmus.read,
    "denoise": lambda path: isthmus.denoise(path, sigma=0),
    "denoise_files": lambda path: isthmus.denoise_files(path, out="out", sigma=0),
    "inpaint_files": lambda path: isthmus.inpaint_files(path, out="out", find="dead-pixels"),
    "compress_files": lambda path: isthmus.compress_files(path, out="out"),
    "embed": lambda path: isthmus.embed(MODEL, path),
    "evaluate": lambda path: isthmus.evaluate(MODEL, path),
    "reconstruct": lambda path: isthmus.reconstruct_files(MODEL, path, out="out"),
    "anomalies": lambda path: isthmus.anomalies(MODEL, path, normal="photos"),
    "anomalies, normal": lambda path: isthmus.anomalies(MODEL, "photos", normal=path),
    "audit": isthmus.audit,
    "cluster": lambda path: isthmus.cluster(MODEL, path, clusters=2),
    "augment": lambda path: isthmus.augment(MODEL, path),
    "explain": lambda path: isthmus.explain(MODEL, path),
    "compare": lambda path: isthmus.compare(path, ["dense"], code="2", steps=1),
    "train": lambda path: isthmus.train(path, recipe="dense", code="2", steps=1),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["a.jxl", "a.jpg"])  # the content tells, not the name
def test_every_use_names_the_kind_of_a_single_file(use: str, name: str) -> None:
    Path(name).write_bytes(JXL)
    with pytest.raises(DataError, match=r"JPEG XL files are not read; convert them to PNG, TIFF or JPEG"):
        USES[use](name)


@pytest.mark.usefixtures("here")
def test_anomalies_name_other_kinds_and_each_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "isthmus")
    Path("photos/b.jxl").write_bytes(JXL)
    Path("photos/broken.png").write_bytes(b"no image")
    Path("photos/c.png").write_bytes(JXL)
    result = isthmus.anomalies(MODEL, "photos", normal="photos/left", score="reconstruction")
    reasons = {skipped.name: skipped.reason for skipped in result.skipped}
    assert reasons["broken.png"].startswith("not an image of a kind read here")
    assert reasons["c.png"].startswith("JPEG XL files are not read")
    assert sum(note.startswith("not read: 1 JPEG XL file (b.jxl)") for note in result.notes) == 1


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"8BPS" + bytes(20), "editor"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg>', "vector drawing"),
        (b"\x76\x2f\x31\x01" + bytes(20), "HDR"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "video"),
        (b"PK\x03\x04" + bytes(20), "packed archive"),
    ],
)
def test_kinds_are_known_by_how_their_files_begin(start: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(start)
    for given in (tmp_path / "a.png", start):
        with pytest.raises(DataError, match=f"{kind} files are not read"):
            isthmus.read(given)
