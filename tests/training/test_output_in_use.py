"""One training of an output at a time, names as long as the file system allows, and a closed terminal."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import BusyError, OutputError, ProcessError, Stopped
from isthmus.training.callbacks import stop_on_signal
from isthmus.training.state import resume_path

from .cases import run_training

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
IMAGES = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 1)).astype(np.uint8)
QUICK: dict[str, Any] = {
    "recipe": "dense",
    "code": "2",
    "settings": ["backbone.width=4"],
    "steps": 3,
    "precision": "float32",
}


def test_a_second_training_of_an_output_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    refused: list[Exception] = []

    def on_ready(_prepared: object) -> None:
        for options in ({"force": True}, {"resume": True}, {}):
            with pytest.raises(BusyError) as raised:
                run_training(IMAGES, out=out, **{**QUICK, **options})
            refused.append(raised.value)

    run_training(IMAGES, out=out, on_ready=on_ready, **QUICK)
    assert len(refused) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    run_training(IMAGES, out=out, force=True, **QUICK)


def test_nothing_is_left_where_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(isthmus.errors.DataError):
        run_training(tmp_path / "missing", out=tmp_path / "new" / "m.safetensors", **QUICK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [241, 245, 250, 255])
def test_a_model_may_have_any_legal_name(length: int, tmp_path: Path) -> None:
    out = tmp_path / ("m" * (length - len(".safetensors")) + ".safetensors")
    run_training(IMAGES, out=out, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_short_names_keep_their_state_beside_them() -> None:
    assert resume_path("d/photos.safetensors") == Path("d/photos.resume.safetensors")


@POSIX
def test_a_model_is_not_trained_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m")
    with pytest.raises(OutputError, match="not a file"):
        run_training(IMAGES, out=tmp_path / "m", force=True, **QUICK)


@POSIX
def test_a_closed_terminal_saves_the_training(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"

    def listener(_progress: object) -> None:
        signal.raise_signal(signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
    try:
        with pytest.raises(Stopped):
            run_training(IMAGES, out=out, listener=listener, **{**QUICK, "steps": 2000})
        assert resume_path(out).exists()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@POSIX
def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stop_on_signal() as should_stop:
            signal.raise_signal(signal.SIGHUP)
            assert not should_stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@POSIX
def test_a_lost_process_is_reported_although_torchrun_ends_the_others() -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(ProcessError), stop_on_signal():
            raise ProcessError("one of 2 processes was lost")
        signal.raise_signal(signal.SIGTERM)  # what torchrun sends while the report is written
    finally:
        signal.signal(signal.SIGTERM, before)
