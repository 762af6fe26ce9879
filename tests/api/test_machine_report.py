"""`isthmus.check_machine`: what is there, what is missing and how to get it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.api.machine_report import CacheFolder, ConvolutionSpeed, Extra, MachineReport, Processor
from isthmus.images.cache import known_memory_bytes
from isthmus.installation import install_command
from isthmus.machine import free_bytes, usable_cores

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def report() -> MachineReport:
    return isthmus.check_machine()


def verdicts(report: MachineReport) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


def test_the_command_prints_the_same_document(
    report: MachineReport, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Measured once: speeds and free space differ from call to call.
    monkeypatch.setattr("isthmus.cli.doctor.check_machine", lambda: report)
    assert main(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == report.to_dict()
    assert report.to_dict()["schema"] == "isthmus.doctor/1"
    assert err == ""


def test_every_line_has_a_verdict(report: MachineReport) -> None:
    assert {"cores", "memory"} <= set(verdicts(report))
    assert all(check.found and check.verdict for check in report.checks)
    assert "bf16 convolution" in report.table()


def test_a_missing_extra_names_the_command_that_adds_it(report: MachineReport) -> None:
    changed = replace(report, extras={"onnx": Extra(("onnx",))})
    assert f"missing: {install_command('onnx')}" in changed.table()


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"decodes": {"WebP": True, "AVIF": False}}, "image formats", "cannot read AVIF"),
        ({"cache": CacheFolder("c", 1000)}, "cache", "little space left"),
        ({"isthmus_data": "no/such/folder"}, "$ISTHMUS_DATA", "no such folder"),
        ({"convolution": ConvolutionSpeed(1.0, None, None)}, "bf16 convolution", "training uses float32"),
        ({"convolution": ConvolutionSpeed(1.0, 0.5, 2.0)}, "bf16 convolution", "bf16 is the faster"),
        ({"convolution": ConvolutionSpeed(1.0, 2.0, 0.5)}, "bf16 convolution", "float32 will do"),
        ({"cpu": Processor("a", 2, 8, None, "AVX2")}, "cores", "ISTHMUS_THREADS=2"),
    ],
)
def test_the_verdict_follows_what_is_found(
    change: dict[str, Any], name: str, verdict: str, report: MachineReport
) -> None:
    assert verdict in verdicts(replace(report, **change))[name]


def test_the_installed_test_extra_is_found(report: MachineReport) -> None:
    assert report.extras["test"].missing == ()


def test_a_data_set_is_found_where_isthmus_data_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "cache"))
    before = isthmus.check_machine().data_sets["mnist"]
    assert before is None or not before.startswith(str(tmp_path))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").touch()
    assert isthmus.check_machine().data_sets["mnist"] == str(tmp_path / "mnist")


def test_the_shipped_set_is_always_here(report: MachineReport) -> None:
    folder = report.data_sets["fashion-sample"]
    assert folder is not None
    assert any(Path(folder).iterdir())


def test_free_space_is_known_for_a_folder_not_yet_made(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert free > 0


def test_memory_and_cores_are_plausible() -> None:
    memory = known_memory_bytes()
    assert memory is None or memory > 2**27
    assert usable_cores() >= 1
