"""Whatever lies at a model's path, opening it gives a model or one line that says what is wrong."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import isthmus
from isthmus.errors import ModelFileError
from isthmus.model.file import FORMAT, read_header

from .cases import model_of, small


def whole_file() -> bytes:
    model = model_of(small("dense", "2").with_settings(["backbone.width=3"]), (4, 4))
    model.summary = {"steps": 3}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.safetensors")
        return (Path(folder) / "model.safetensors").read_bytes()


INTACT_FILE = whole_file()
HEADER_END = 8 + struct.unpack("<Q", INTACT_FILE[:8])[0]
HEADER: dict[str, Any] = json.loads(INTACT_FILE[8:HEADER_END])
BODY = INTACT_FILE[HEADER_END:]


def assembled(header: dict[str, Any], body: bytes = BODY) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_ours(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file with its own JSON entry changed."""
    header = json.loads(json.dumps(HEADER))
    ours = json.loads(header["__metadata__"]["isthmus"])
    changed = change(ours)
    header["__metadata__"]["isthmus"] = json.dumps(ours if changed is None else changed)
    return assembled(header)


def with_tensors(change: Callable[[dict[str, Any]], object], body: bytes = BODY) -> bytes:
    header = json.loads(json.dumps(HEADER))
    change(header)
    return assembled(header, body)


def settle(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(ours: dict[str, Any]) -> None:
        *path, last = key.split(".")
        for name in path:
            ours = ours[name]
        ours[last] = value

    return change


FIRST, SECOND = [k for k in HEADER if k != "__metadata__"][:2]


def rename(header: dict[str, Any]) -> None:
    header["stranger"] = header.pop(FIRST)


def overlap(header: dict[str, Any]) -> None:
    size = header[SECOND]["data_offsets"][1] - header[SECOND]["data_offsets"][0]
    header[SECOND]["data_offsets"] = [0, size]


def as_integers(header: dict[str, Any]) -> None:
    header[FIRST]["dtype"] = "I32"


def transposed(header: dict[str, Any]) -> None:
    for name, entry in header.items():
        if name != "__metadata__" and len(entry["shape"]) == 2:
            entry["shape"].reverse()


def zipped() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, stream)
    return stream.getvalue()


def old_pickle() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def foreign() -> bytes:
    header = {"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    return assembled(header, bytes(8))


def a_resume_state() -> bytes:
    header = {
        "__metadata__": {"isthmus.resume": "{}"},
        "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    return assembled(header, bytes(4))


DEEP = '{"__metadata__":{"isthmus":"' + "[" * 100_000 + '"}}'
BAD: dict[str, bytes] = {
    "empty": b"",
    "seven bytes": b"isthmus",
    "text": b"This is not a model, but a text of more than eight bytes.\n" * 9,
    "zeros": bytes(4096),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "pickle": pickle.dumps({"weights": np.zeros(3)}),
    "old pickle": pickle.dumps({"weights": [1.0]}, protocol=2),
    "torch file": zipped(),
    "old torch file": old_pickle(),
    "length lies (huge)": struct.pack("<Q", 2**63) + INTACT_FILE[8:],
    "length lies (a little)": struct.pack("<Q", HEADER_END) + INTACT_FILE[8:],
    "length lies (short)": struct.pack("<Q", 40) + INTACT_FILE[8:],
    "header is no JSON": INTACT_FILE[:9] + b"}" + INTACT_FILE[10:],
    "header is a list": struct.pack("<Q", 2) + b"[]" + BODY,
    "header is deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "our entry is deep": struct.pack("<Q", len(DEEP)) + DEEP.encode(),
    "overlapping tensors": with_tensors(overlap),
    "wrong type": with_tensors(as_integers),
    "wrong shape": with_tensors(transposed),
    "a tensor has another name": with_tensors(rename),
    "a tensor too many": with_tensors(
        lambda h: h.update(more={"dtype": "F32", "shape": [1], "data_offsets": [len(BODY), len(BODY) + 4]}),
        BODY + bytes(4),
    ),
    "a tensor too few": with_tensors(
        lambda h: [h.pop(k) for k in list(h) if h[k].get("data_offsets", [0, 0])[1] == len(BODY)],
        BODY[: max(e["data_offsets"][0] for k, e in HEADER.items() if k != "__metadata__")],
    ),
    "no tensors": with_tensors(lambda h: [h.pop(k) for k in list(h) if k != "__metadata__"], b""),
    "no shape": with_tensors(lambda h: h[FIRST].pop("shape")),
    "bytes behind the tensors": INTACT_FILE + bytes(8),
    "other safetensors": foreign(),
    "state of a training": a_resume_state(),
    "future format": with_ours(settle("format", FORMAT + 1)),
    "no format": with_ours(lambda o: o.pop("format") and None),
    "format is infinite": with_ours(settle("format", float("inf"))),
    "format is a word": with_ours(settle("format", "one")),
    "entry is a list": with_ours(lambda _: [1]),
    "entry is a number": with_ours(lambda _: 3),
    "no recipe": with_ours(lambda o: o.pop("recipe") and None),
    "recipe is a list": with_ours(settle("recipe", [])),
    "recipe is a number": with_ours(settle("recipe", 5)),
    "backbone is a number": with_ours(settle("recipe.backbone", 5)),
    "unknown backbone": with_ours(settle("recipe.backbone.kind", "quantum")),
    "unknown setting": with_ours(settle("recipe.backbone.colour", 3)),
    "another backbone": with_ours(settle("recipe.backbone", {"kind": "conv"})),
    "code is auto": with_ours(settle("recipe.code", "auto")),
    "code is another": with_ours(settle("recipe.code", "3")),
    "impossible combination": with_ours(settle("recipe.code", "2@4")),
    "width is null": with_ours(settle("recipe.backbone.width", None)),
    "no size": with_ours(settle("size", [])),
    "size is a word": with_ours(settle("size", "large")),
    "three sides": with_ours(settle("size", [4, 4, 4])),
    "size is infinite": with_ours(settle("size", [float("inf"), 4])),
    "size is negative": with_ours(settle("size", [-4, 4])),
    "size is absurd": with_ours(settle("size", [10**9, 10**9])),
    "size is beyond numbers": with_ours(settle("size", [10**400, 1])),
    "channels are absurd": with_ours(settle("channels", 10**9)),
    "channels are zero": with_ours(settle("channels", 0)),
    "channels are null": with_ours(settle("channels", None)),
    "widths are absurd": with_ours(settle("recipe.backbone.width", [65536] * 64)),
    "code is absurd": with_ours(settle("recipe.code", "999999")),
    "conv is absurd": with_ours(
        settle("recipe.backbone", {"kind": "conv", "width": [65536], "blocks": 32, "depth": 10})
    ),
    "attention is absurd": with_ours(
        lambda o: o["recipe"].update(
            backbone={"kind": "attention", "width": [65536], "depth": 48}, positions={"kind": "learned"}
        )
    ),
    "attachments are a list": with_ours(settle("attachments", [1])),
    "summary is a word": with_ours(settle("summary", "good")),
}


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        isthmus.load(path)
    message = caught.value.message
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 400 + len(str(path))
    return message


def test_the_whole_file_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "whole.safetensors"
    path.write_bytes(INTACT_FILE)
    assert isthmus.load(path).recipe.name == "dense"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(BAD[name])
    refusal(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pickle", "pickled"),
        ("torch file", "pickled"),
        ("future format", "later version"),
        ("other safetensors", "not an isthmus model"),
        ("state of a training", "state of a training"),
        ("a tensor too few", "lacks"),
        ("a tensor has another name", "lacks"),
        ("a tensor too many", "unknown tensor more"),
        ("wrong type", "torch.int32"),
    ],
)
def test_the_line_says_which_kind_of_bad(name: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(BAD[name])
    assert words in refusal(path)


def test_missing_files_folders_and_pipes(tmp_path: Path) -> None:
    assert "there is no model file" in refusal(tmp_path / "missing.safetensors")
    with pytest.raises(isthmus.UsageError, match="folder without models and images"):
        isthmus.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a file" in refusal(tmp_path / "pipe")


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    for length in [*range(0, len(INTACT_FILE), 97), len(INTACT_FILE) - 1]:
        path.write_bytes(INTACT_FILE[:length])
        refusal(path)


def peak_resident_bytes() -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return 1024 * int(match[1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is measured by Linux")
@pytest.mark.parametrize(
    "name", ["widths are absurd", "conv is absurd", "attention is absurd", "code is absurd", "size is absurd",
             "length lies (huge)"]
)  # fmt: skip
def test_a_lying_header_gets_no_memory(name: str, tmp_path: Path) -> None:
    """Neither from Python nor from torch: a tensor of the asked size would be hundreds of gigabytes."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(BAD[name])
    refusal(path)  # once, so that imports are not counted
    tracemalloc.start()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far, which may lie far above
    before = peak_resident_bytes()
    refusal(path)
    grown = peak_resident_bytes() - before
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 50e6
    assert peak < 50e6


@given(position=st.integers(0, HEADER_END - 1), flip=st.integers(1, 255))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_of_the_header_is_noticed_or_harmless(
    position: int, flip: int, tmp_path: Path
) -> None:
    changed = bytearray(INTACT_FILE)
    changed[position] ^= flip
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(changed)
    try:
        model = isthmus.load(path)
    except ModelFileError as error:
        assert "\n" not in error.message
    else:
        shapes = {k: v.shape for k, v in model.state_dict().items()}
        loaded = model_of(model.recipe, model.size, model.channels).state_dict()
        assert shapes == {k: v.shape for k, v in loaded.items()}


@given(st.binary(max_size=200))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_raise_anything_else(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "random.safetensors"
    for content in (data, struct.pack("<Q", len(data)) + data):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            read_header(path)
        refusal(path)
