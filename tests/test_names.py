"""Every name that comes from a file becomes a path below the output folder, and no two become the same."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import OutputError
from isthmus.names import MAX_COMPONENT_BYTES, below, safe_folders, safe_outputs, safe_path, safe_paths

PIECES = ["a", "A", "x.png", "..", ".", "/", "\\", "C:", "\0", "\n", "\x1b", " ", ".png", "CON", "nul", "é",
          "e\u0301", "\u202e", "\udc80", ":", "~", "x" * 200]  # fmt: skip
NAMES = st.lists(st.sampled_from(PIECES), max_size=7).map("".join) | st.text(max_size=12)


def assert_safe(path: str) -> None:
    parts = path.split("/")
    assert all(part and part not in (".", "..") for part in parts)
    assert all(len(part.encode()) <= MAX_COMPONENT_BYTES for part in parts)
    assert all(part == part.rstrip(" .") for part in parts)
    assert not any(ord(character) < 32 or character in '\\:*?"<>|\x7f' for character in path)
    assert not os.path.isabs(path)  # noqa: PTH117
    assert PureWindowsPath(path).drive == ""
    assert not any(PureWindowsPath(part).is_reserved() for part in parts)


@given(NAMES)
def test_any_name_becomes_a_safe_relative_path(name: str) -> None:
    path = safe_path(name)
    assert_safe(path)
    assert safe_path(path) == path


@settings(max_examples=50)
@given(st.lists(NAMES, max_size=8), st.sampled_from([None, ".png", ".isth"]))
def test_several_names_never_meet_and_none_is_a_folder_of_another(
    names: list[str], suffix: str | None
) -> None:
    paths = safe_paths(names, suffix=suffix)
    assert len({path.casefold() for path in paths}) == len(names)
    for path in paths:
        assert_safe(path)
        assert suffix is None or path.endswith(suffix)
        assert not any(other.casefold().startswith(f"{path.casefold()}/") for other in paths)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("photos/a.png", "photos/a.png"),
        ("../../escaped/owned.png", "escaped/owned.png"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\x.png", "Users/x.png"),
        ("\\\\server\\share\\a.png", "server/share/a.png"),
        ("a/../../b.png", "a/b.png"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("a\0b.png", "a_b.png"),
        ("com1.png", "com1_.png"),
        ("a. /b", "a/b"),
        ("über straße.png", "über straße.png"),
    ],
)
def test_names_that_need_no_change_keep_theirs(name: str, path: str) -> None:
    assert safe_path(name) == path


def test_many_equal_names_cost_no_square() -> None:
    assert len(set(safe_paths(["x.png"] * 20_000))) == 20_000


def test_classes_become_one_folder_each(tmp_path: Path) -> None:
    folders = safe_folders(tmp_path, ["..", "a/b", "a-b", "A-B", "/", "../../etc"])
    assert len({folder.name.casefold() for folder in folders}) == 6
    assert all(folder.parent == tmp_path for folder in folders)


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "within").mkdir()
    (out / "leads").symlink_to(outside)
    (out / "file.png").symlink_to(outside / "new.png")
    (out / "loop").symlink_to(out / "loop")
    (out / "stays").symlink_to(out / "within")
    for relative in ("leads/a.png", "file.png", "loop/a.png", "../a.png", "a/../../b.png"):
        with pytest.raises(OutputError):
            below(out, relative)
    assert below(out, "stays/a.png") == out / "stays" / "a.png"
    with pytest.raises(OutputError, match="outside"):
        safe_outputs(out, ["a.png", "leads/a.png"], suffix=".png")
    (tmp_path / "chosen").symlink_to(out)  # the chosen folder itself may be a link
    assert below(tmp_path / "chosen", "a.png").name == "a.png"
