"""`isthmus doctor` tells what is there, what is missing and how to get it."""

import json
from pathlib import Path
from typing import Any

import pytest

from isthmus.__main__ import main
from isthmus.cli import doctor, machine
from isthmus.images.cache import known_memory_bytes
from isthmus.installation import install_command
from isthmus.machine import usable_cores

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return doctor.examine()


@pytest.fixture
def examined(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The document of this machine, measured once, as the command sees it."""
    changed: dict[str, Any] = json.loads(json.dumps(document))
    monkeypatch.setattr(doctor, "examine", lambda: changed)
    return changed


def test_json_is_one_object_with_its_schema(examined: dict[str, Any], capsys: Capture) -> None:
    assert main(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == examined
    assert examined["schema"] == "isthmus.doctor/1"
    assert err == ""


def test_every_line_has_a_verdict(examined: dict[str, Any]) -> None:
    checks = list(doctor.checks(examined))
    assert {"cores", "memory"} <= {check.name for check in checks}
    assert all(check.seen and check.verdict for check in checks)


def test_a_missing_extra_names_the_command_that_adds_it(examined: dict[str, Any], capsys: Capture) -> None:
    examined["extras"] = {"onnx": {"missing": ["onnx"]}}
    assert main(["doctor"]) == 0
    assert f"missing: {install_command('onnx')}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"decodes": {"WebP": True, "AVIF": False}}, "image formats", "cannot read AVIF"),
        ({"cache": {"folder": "c", "free_bytes": 1000}}, "cache", "little space left"),
        ({"isthmus_data": "no/such/folder"}, "$ISTHMUS_DATA", "no such folder"),
        ({"convolution": {"bfloat16_speedup": None}}, "bf16 convolution", "training uses float32"),
        ({"convolution": {"bfloat16_speedup": 2.0}}, "bf16 convolution", "bf16 is the faster"),
        ({"convolution": {"bfloat16_speedup": 0.5}}, "bf16 convolution", "float32 will do"),
    ],
)
def test_the_verdict_follows_what_is_seen(
    change: dict[str, Any], name: str, verdict: str, document: dict[str, Any]
) -> None:
    verdicts = {check.name: check.verdict for check in doctor.checks({**document, **change})}
    assert verdict in verdicts[name]


def test_more_threads_than_cores_are_advised_against(document: dict[str, Any]) -> None:
    cpu = {**document["cpu"], "cores": 2, "threads": 8}
    verdicts = {check.name: check.verdict for check in doctor.checks({**document, "cpu": cpu})}
    assert "ISTHMUS_THREADS=2" in verdicts["cores"]


def test_the_installed_test_extra_is_seen(document: dict[str, Any]) -> None:
    assert document["extras"]["test"] == {"missing": []}


def test_a_data_set_is_found_where_isthmus_data_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    before = doctor.data_sets()["mnist"]
    assert before is None or not before.startswith(str(tmp_path))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").touch()
    assert doctor.data_sets()["mnist"] == str(tmp_path / "mnist")


def test_the_shipped_set_is_always_here(document: dict[str, Any]) -> None:
    folder = document["data_sets"]["fashion-sample"]
    assert folder is not None
    assert any(Path(folder).iterdir())


def test_free_space_is_known_for_a_folder_not_yet_made(tmp_path: Path) -> None:
    free = machine.free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert free > 0


def test_memory_and_cores_are_plausible() -> None:
    memory = known_memory_bytes()
    assert memory is None or memory > 2**27
    assert usable_cores() >= 1
