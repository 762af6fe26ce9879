"""Notes and reasons of skipped inputs keep their ids and values, in results, in model files and in caches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.conftest import QUICK
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.images.folder import read_listed
from isthmus.images.runs import ReadOptions
from isthmus.images.shards import list_folder
from isthmus.messages import Message

ID = re.compile(r"[a-z0-9-]+\.[a-z0-9.-]+")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight images, one of them with transparent parts, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 4), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels if i == 0 else pixels[..., :3]).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def check(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Fields by id, after a look at the form."""
    details = document["note_details"]
    assert [item["text"] for item in details] == document["notes"]
    assert all(sorted(item) == ["fields", "id", "text"] and ID.fullmatch(item["id"]) for item in details)
    return {item["id"]: item["fields"] for item in details}


def test_a_training_keeps_them_in_the_models_file(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", photos.name, *QUICK, "-o", "m.safetensors", "--json", "-q"]) == 3
    printed = json.loads(capsys.readouterr().out)
    document = isthmus.describe_training("m.safetensors").to_dict()
    assert document["note_details"] == printed["note_details"]
    fields = check(document)
    assert fields["reading.transparent"]["transparent"] == 1
    assert fields["reading.transparent"]["images"] == 8
    assert any(id.startswith("choice.") for id in fields)
    (skipped,) = document["skipped"]
    assert skipped["name"] == "broken.png" and skipped["id"] == "image-file.unknown-kind"
    assert "PNG" in skipped["fields"]["kinds"]
    assert skipped in printed["skipped"]


def test_a_use_gives_what_it_read(photos: Path) -> None:
    document = isthmus.audit(photos).to_dict()
    assert "reading.transparent" in check(document)
    (skipped,) = document["skipped"]
    assert skipped["id"] == "image-file.unknown-kind"


def test_a_cached_set_keeps_them(photos: Path) -> None:
    first, again = (read_listed(list_folder(photos), str(photos), ReadOptions(map_above=0)) for _ in range(2))
    for images in (first, again):
        by_id = {note.id: note.fields for note in images.notes if isinstance(note, Message)}
        assert len(by_id) == len(images.notes)
        assert by_id["reading.transparent"]["images"] == 8
        (skipped,) = images.skipped
        assert skipped.id == "image-file.unknown-kind"


def test_errors_name_what_went_wrong_behind_them(photos: Path) -> None:
    for path in photos.glob("[0-9]*"):
        path.unlink()
    with pytest.raises(isthmus.DataError) as caught:
        isthmus.read(photos)
    document = json.loads(json.dumps(caught.value.to_dict()))
    assert document["id"] == "data.folder-unreadable"
    assert document["fields"]["images"] == 1
    assert document["fields"]["reason"]["id"] == "image-file.unknown-kind"
