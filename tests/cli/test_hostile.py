"""Inputs that nobody meant well, given to the commands: one line, the right exit code, nothing outside."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.escaping import csv_rows
from isthmus.model.file import KEY, read_file, write_file

Document = Callable[..., dict[str, Any]]
NASTY = "=1+1\x1b[31m\n</script><!--<script>{{DATA}}\u202e$x$.png"


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def refused(capsys: pytest.CaptureFixture[str], *words: str, codes: tuple[int, ...] = (1, 2)) -> str:
    capsys.readouterr()
    assert main([*words]) in codes
    error = capsys.readouterr().err
    assert "bug" not in error
    assert "Traceback" not in error
    assert "\x1b" not in error
    return error


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tensors, metadata = read_file(path)
    header = json.loads(metadata[KEY])
    change(header)
    write_file(path, tensors, {KEY: json.dumps(header)}, force=True)


def test_archive_members_stay_in_the_chosen_folder(here: Path, document: Document) -> None:
    names = [
        "../../escaped/a.png",
        "/srv/b.png",
        "c\\..\\..\\d.png",
        "C:\\d.png",
        "CON.png",
        "x" * 300 + ".png",
    ]
    archive(here / "a.tar", {name: png(k) for k, name in enumerate(names)})
    result = document("reconstruct", "photos.safetensors", "a.tar", "-o", "out/deep")
    assert result["written"] == len(names)
    written = [path for path in here.rglob("*.png") if not path.is_relative_to(here / "photos")]
    assert len(written) == len(names)
    assert all(path.is_relative_to(here / "out" / "deep") for path in written)
    images = isthmus.read(here / "a.tar")
    assert "a.tar/../../escaped/a.png" in images.names  # shown as it is


def test_a_class_named_after_the_parent_stays_inside(here: Path, document: Document) -> None:
    members = {}
    for k in range(12):
        members[f"{k}.png"] = next(Path("photos").glob(f"*/{k % 10}.png")).read_bytes()
        members[f"{k}.cls"] = b".." if k % 2 else b"a/b"
    archive(here / "a.tar", members)
    before = set(here.rglob("*"))
    result = document(
        "augment",
        "photos.safetensors",
        "a.tar",
        "-n",
        "4",
        "-o",
        "more",
        "--no-filtered",
        "--methods",
        "mixup",
    )
    assert result["images"] == 4
    assert set(result["classes"]) == {"..", "a/b"}
    new = set(here.rglob("*")) - before
    assert all(path.is_relative_to(here / "more") for path in new)


def test_a_link_in_the_output_folder_is_not_followed_outside(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "outside").mkdir()
    (here / "out").mkdir()
    (here / "out" / "left").symlink_to(here / "outside")
    assert "outside of out" in refused(capsys, "reconstruct", "photos.safetensors", "photos", "-o", "out")
    assert not any((here / "outside").iterdir())


def test_names_are_escaped_on_terminals_pages_and_tables(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = here / "<!--<script>{{DATA}}"
    data.mkdir()
    for k in range(12):
        (data / NASTY.replace("/", "∕").replace("=1+1", f"=1+{k}")).write_bytes(png(k))
    model = str(here / "photos.safetensors")
    assert main(["map", model, data.name, "-o", "map.html", "--method", "pca"]) == 0
    page = (here / "map.html").read_text("utf-8")
    assert page.count("<script") == 2
    block = page.partition('type="application/json">')[2].partition("</script>")[0]
    assert json.loads(block)["names"] == list(isthmus.read(data).names)
    words = ("anomalies", model, data.name, "--normal", data.name, "-o", "scores.csv", "--picture", "p.png")
    assert main([*words]) == 0
    shown = capsys.readouterr()
    assert not any(c in shown.out + shown.err for c in "\x1b\u202e")
    assert "\\x1b[31m\\n" in shown.out
    text = (here / "scores.csv").read_text("utf-8")
    assert [row[0] for row in csv_rows(text)[1:]] == list(isthmus.read(data).names)
    assert all(row[0].startswith("'=") for row in list(csv.reader(io.StringIO(text)))[1:])
    assert main(["audit", data.name, "-o", "clean.txt", "-q"]) == 0
    assert main(["train", data.name, "--only", "clean.txt", "--steps", "2", "-q", "-o", "n.safetensors"]) == 0


def test_fields_of_a_model_are_escaped(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(header: dict[str, Any]) -> None:
        header["recipe"]["name"] = header["summary"]["data"]["source"] = "\x1b]0;owned\x07\n\u202e"
        header["summary"]["data"]["classes"] = ["\x1b[2J", "a\nb"]

    changed(here / "photos.safetensors", change)
    assert main(["info", "photos.safetensors"]) == 0
    assert not any(c in capsys.readouterr().out for c in "\x1b\x07\u202e")


@pytest.mark.parametrize("source", ["/", "elsewhere"])
def test_a_stored_source_of_other_images_is_not_read(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    shutil.copytree(here / "photos", here / "elsewhere")
    (here / "elsewhere" / "left" / "1.png").rename(here / "elsewhere" / "left" / "one.png")
    changed(here / "photos.safetensors", lambda header: header["summary"]["data"].update(source=source))
    from isthmus.evaluation import training_data

    def never(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(training_data, "read", never)
    images, note = training_data.find_training_images(isthmus.load(here / "photos.safetensors"))
    assert images is None
    assert note is not None
    assert main(["evaluate", "photos.safetensors", "photos", "-q"]) == 0
    capsys.readouterr()


def test_the_training_images_are_still_found(here: Path) -> None:
    from isthmus.evaluation.training_data import find_training_images

    model = isthmus.load(here / "photos.safetensors")
    assert find_training_images(model)[0] is not None
    del model.summary["data"]["inventory"]  # as version 0.1 wrote it
    assert find_training_images(model)[0] is not None
    model.summary["data"]["images"] = 10**6
    assert find_training_images(model)[0] is None


@pytest.mark.parametrize(
    "words",
    [
        ("train", "PIPE", "-o", "n.safetensors"),
        ("train", "photos", "--only", "PIPE", "-o", "n.safetensors"),
        ("train", "photos", "--recipe", "PIPE.toml", "-o", "n.safetensors"),
        ("train", "photos", "--from", "PIPE", "-o", "n.safetensors"),
        ("info", "PIPE"),
        ("evaluate", "PIPE", "photos"),
        ("reconstruct", "photos.safetensors", "PIPE.png", "-o", "out"),
        ("denoise", "PIPE.png", "-o", "out.png"),
        ("inpaint", "photos/left/1.png", "--mask", "PIPE.png", "-o", "out.png"),
        ("compress", "PIPE.png", "-o", "out.isth"),
        ("decompress", "PIPE.isth", "-o", "out.png"),
        ("verify", "PIPE.isth"),
        ("audit", "photos", "--against", "photos", "--groups", "PIPE"),
        ("search", "photos.safetensors", "photos", "--like", "PIPE.png"),
        ("search", "photos.safetensors", "photos", "--like", "photos/left/1.png", "--index", "PIPE"),
        ("transform", "photos.safetensors", "photos/left/1.png", "--along", "PIPE", "-o", "out.png"),
        ("train", "PIPE.npz", "-o", "n.safetensors"),
        ("train", "PIPE.tar", "-o", "n.safetensors"),
        ("train", "PIPE-ubyte", "-o", "n.safetensors"),
    ],
)
def test_pipes_and_devices_are_refused_as_any_input(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    for number, word in enumerate(words):
        if word.startswith("PIPE"):
            os.mkfifo(here / word)
            refused(capsys, *words, codes=(1, 2, 3))
            (here / word).unlink()
            (here / word).symlink_to("/dev/zero")
            refused(capsys, *words[:number], word, *words[number + 1 :], codes=(1, 2, 3))


def test_pipes_within_folders_are_skipped_and_named(here: Path, document: Document) -> None:
    os.mkfifo(here / "photos" / "left" / "pipe.png")
    result = document("reconstruct", "photos.safetensors", "photos", "-o", "out", code=3)
    (skipped,) = result["skipped"]
    assert (skipped["name"], skipped["reason"]) == ("left/pipe.png", "is a named pipe, not a file")
    assert skipped["id"] == "image-file.special-file"
    assert skipped["fields"]["reason"]["id"] == "data.named-pipe"
    assert result["written"] == 10


def test_lists_with_any_name_come_back(here: Path) -> None:
    names = ["# note.png", "#1.png", "a\nb.png", '"q".png', " space.png", "p\u2028q.png"]
    (here / "odd").mkdir()
    for k, name in enumerate(names):
        (here / "odd" / name).write_bytes(png(k))
    from isthmus.escaping import list_line
    from isthmus.images.subsets import keep_named

    (here / "list.txt").write_text("".join(f"{list_line(name)}\n" for name in names[:5]), "utf-8")
    assert sorted(keep_named(isthmus.read(here / "odd"), here / "list.txt").names) == sorted(names[:5])
