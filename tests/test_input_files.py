"""Pipes, sockets and devices are refused, and what is parsed is bounded: no hang, one kind of error."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.input_files import NotAFileError, open_input, parse_json, parse_toml, read_text, special_kind


@pytest.fixture
def specials(tmp_path: Path) -> list[Path]:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    return [tmp_path / "pipe", tmp_path / "socket", tmp_path / "link", Path("/dev/null"), Path("/dev/zero")]


def test_only_regular_files_are_opened(specials: list[Path], tmp_path: Path) -> None:
    for path in specials:
        assert special_kind(path) is not None
        with pytest.raises(NotAFileError):
            open_input(path)
    assert special_kind(tmp_path) is None
    with pytest.raises(IsADirectoryError):
        open_input(tmp_path)
    for name in ("missing", "a\0b"):
        with pytest.raises(FileNotFoundError):
            open_input(tmp_path / name)


def test_a_text_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(path) == "a\r\nb"
    with pytest.raises(OSError, match="larger"):
        read_text(path, limit=3)


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "[" * 5000 + "]" * 5000, "[" * 100 + "]" * 100, "1" * 4400, "1" * 1000, "1e400", "NaN",
     "-Infinity", '{"a": [1, Infinity]}', "{", "\0"],
)  # fmt: skip
def test_json_is_refused_by_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_json(text)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000 + "]" * 5000, "a = " + "[" * 100 + "]" * 100, f"a = {'1' * 4400}", "a = nan",
     "a = 1e400", "a = ", "a." * 3000 + "b = 1"],
)  # fmt: skip
def test_toml_is_refused_by_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_toml(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_is_sound_comes_back(value: object) -> None:
    import json

    assert parse_json(json.dumps(value)) == value
