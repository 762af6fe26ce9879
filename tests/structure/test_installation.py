"""Hints name extras by a command that works where Isthmus was installed from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from isthmus import installation
from isthmus.errors import MissingExtraError


class RecordedInstall:
    """Stands for the installed distribution with the record that pip writes."""

    def __init__(self, record: str | None) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.record


@pytest.fixture(autouse=True)
def no_cached_folder() -> Iterator[None]:
    installation._checkout_folder.cache_clear()
    yield
    installation._checkout_folder.cache_clear()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose folder has a space and an umlaut in its name, recorded as pip records it."""
    folder = tmp_path / "my chéckout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    record(monkeypatch, json.dumps({"url": folder.as_uri(), "dir_info": {}}))
    return folder


def record(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _: RecordedInstall(text))


def test_an_extra_is_named_from_inside_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    assert installation.install_command("umap") == "pip install '.[umap]'"


def test_an_extra_is_named_from_any_other_folder(checkout: Path) -> None:
    command = MissingExtraError("export", "onnx").hint
    assert command is not None
    assert shlex.split(str(command)) == ["pip", "install", f"{checkout}[onnx]"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not JSON",
        "[]",
        '{"url": "https://example.org/isthmus.zip"}',
        '{"url": "file:///no/such/folder"}',
    ],
)
def test_without_a_usable_record_the_current_folder_stands_for_the_checkout(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, text)
    assert installation.install_command("umap") == "pip install '.[umap]'"
    assert installation.upgrade_hint() == (
        "update Isthmus: git pull and pip install . in the checkout of Isthmus"
    )
