"""The model file: what is saved is what is loaded, and nobody ever sees half of it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import safetensors
import torch

import isthmus
from isthmus.errors import OutputError
from isthmus.model.autoencoder import Attachment
from isthmus.model.file import read_header, save, write_file
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES

from .cases import generator, model_of, pictures, small

EXTRA = {
    "vq": Recipe(code="8").with_settings(["backbone=dense", "bottleneck=quantised", "bottleneck.method=vq"]),
    "l0": Recipe(code="8").with_settings(["backbone=dense", "bottleneck=l0", "bottleneck.active=3"]),
    "entropy": Recipe(code="4@4").with_settings(["backbone.width=4", "bottleneck=entropy"]),
    "batch norm": Recipe(code="8").with_settings(["backbone.width=4", "backbone.norm=batch"]),
    "skips": Recipe(code="4@4").with_settings(["backbone.width=4", "backbone.skips=true"]),
    "learned σ": Recipe(code="4").with_settings(["backbone.width=4", "objective.image=gaussian-nll"]),
    "learned positions": Recipe(code="4").with_settings(["backbone.width=4", "positions=learned"]),
}


@pytest.mark.parametrize("name", [*RECIPES, *EXTRA])
def test_a_loaded_model_is_the_saved_one(name: str, tmp_path: Path) -> None:
    model = model_of(small(name) if name in RECIPES else EXTRA[name], (12, 12), 3, seed=4)
    images = pictures(3, (12, 12), 3)
    model.train().trace(images, generator())  # moves what is not a parameter: running means, a price
    with torch.no_grad():
        for buffer in model.buffers():
            buffer.add_(0.125 if buffer.is_floating_point() else 1)
    model.eval().requires_grad_(False)  # as `isthmus.train` returns it
    model.summary = {"steps": 7, "history": [{"step": 1.0, "train_mse": 0.1 + 0.2}], "words": "größe"}
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = isthmus.load(path)
    assert loaded.recipe == model.recipe
    assert (loaded.channels, loaded.size, loaded.summary) == (3, (12, 12), model.summary)
    assert not loaded.training
    before, after = model.state_dict(), loaded.state_dict()
    assert list(before) == list(after)
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
        assert value.dtype == after[key].dtype
    assert torch.equal(loaded.reconstruct(images), model.reconstruct(images))
    assert not any(p.requires_grad for p in loaded.parameters())
    second = tmp_path / "again.safetensors"
    loaded.save(second)
    assert second.read_bytes() == path.read_bytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = model_of(small("dense"))
    model.summary = {"steps": 3}
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


def test_other_readers_of_safetensors_can_read_it(saved: Path) -> None:
    with safetensors.safe_open(saved, "pt") as opened:
        assert set(opened.keys()) == set(model_of(small("dense")).state_dict())
        assert json.loads(opened.metadata()["isthmus"])["channels"] == 1


def test_the_header_is_read_without_torch(saved: Path) -> None:
    program = (
        "import sys; from isthmus.model.file import read_header; h = read_header(sys.argv[1]);"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules;"
        "from isthmus.model.recipe import Recipe; print(Recipe.from_dict(h['recipe']).name, h['size']);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(saved)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["dense", "[12,", "12]"]


def test_the_header_tells_the_tensors_shapes(saved: Path) -> None:
    header = read_header(saved)
    expected = {k: list(v.shape) for k, v in model_of(small("dense")).state_dict().items()}
    assert header["tensors"] == expected
    assert header["format"] == 1


KINDS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
    torch.int8, torch.uint8, torch.uint16, torch.bool,
]  # fmt: skip


def test_attachments_travel_with_the_model_and_change_nothing_else(tmp_path: Path) -> None:
    model = model_of(small("conv")).eval()
    images = pictures(2)
    plain = model.encode(images).values
    tensors = {str(kind).removeprefix("torch."): torch.arange(3).to(kind) for kind in KINDS}
    tensors |= {"empty": torch.zeros(0, 4), "number": torch.tensor(2.5), "strided": torch.rand(4, 6).T[::2]}
    model.attachments["prior"] = Attachment({"kind": "mixture", "nested": {"a": [1, None]}}, tensors)
    model.attachments["index"] = Attachment({}, {"rows": torch.rand(2, 2)})
    model.attachments["bare"] = Attachment({"note": "no tensors"})
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = isthmus.load(path)
    assert set(loaded.attachments) == {"prior", "index", "bare"}
    for name, attachment in model.attachments.items():
        assert loaded.attachments[name].facts == attachment.facts
        assert set(loaded.attachments[name].tensors) == set(attachment.tensors)
        for key, tensor in attachment.tensors.items():
            stored = loaded.attachments[name].tensors[key]
            assert stored.dtype == tensor.dtype
            assert torch.equal(stored, tensor)
    assert torch.equal(torch.as_tensor(loaded.encode(images).values), torch.as_tensor(plain))


def test_every_length_of_header_can_be_loaded(tmp_path: Path) -> None:
    """The file begins with its header's length, which must not be mistaken for another format's mark."""
    model = model_of(small("dense"))
    path = tmp_path / "model.safetensors"
    for length in range(0, 272, 8):
        model.summary = {"padding": "x" * length}
        model.save(path)
        assert isthmus.load(path).summary == model.summary
    # 19280 in little-endian begins with the two letters that a zip file begins with.
    metadata = {"isthmus": "x" * 19000}
    for _ in range(400):
        metadata["isthmus"] += "x"
        write_file(path, {"t": torch.zeros(1)}, metadata, force=True)
        if path.read_bytes()[:2] == b"PK":
            break
    else:
        pytest.fail("no header had the length that was looked for")
    with pytest.raises(isthmus.IsthmusError, match="not what isthmus writes"):
        isthmus.load(path)


def test_an_existing_file_is_kept_unless_forced(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        model_of(small("conv")).save(saved, force=False)
    assert saved.read_bytes() == before
    model_of(small("conv")).save(saved)
    assert isthmus.load(saved).recipe.name == "conv"


@pytest.mark.parametrize(
    ("where", "number", "words"),
    [
        ("write", errno.ENOSPC, "no space left"),
        ("fsync", errno.ENOSPC, "no space left"),
        ("fsync", errno.EIO, "cannot write"),
        ("replace", errno.EACCES, "no permission"),
        ("replace", errno.EROFS, "read-only"),
    ],
)
def test_a_failed_write_leaves_the_former_file_and_no_litter(
    saved: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int, words: str
) -> None:
    before = saved.read_bytes()

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr("isthmus.model.file.struct.pack", fail)  # called between open and the first byte
        else:
            patch.setattr(f"isthmus.atomic.os.{where}", fail)
        with pytest.raises(OutputError) as caught:
            save(model_of(small("conv")), saved)
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert str(saved) in caught.value.message
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_while_tensors_are_written(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file's bytes go to /dev/full, which refuses them as a full disk does."""
    before = saved.read_bytes()
    real = os.fdopen

    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        return real(os.open("/dev/full", os.O_WRONLY), mode)

    with monkeypatch.context() as patch:
        patch.setattr("isthmus.atomic.os.fdopen", full)
        with pytest.raises(OutputError, match="no space left"):
            save(model_of(small("conv")), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_without_permission(saved: Path) -> None:
    saved.parent.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="no permission"):
            save(model_of(small("conv")), saved)
    finally:
        saved.parent.chmod(0o700)


def test_a_path_through_a_file_or_onto_a_folder(saved: Path) -> None:
    for path in (saved / "inside.safetensors", saved.parent):
        with pytest.raises(OutputError, match="cannot write"):
            save(model_of(small("conv")), path)


def test_a_loaded_model_does_not_hang_on_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model_of(small("dense"), (12, 12), seed=1).save(path)
    loaded = isthmus.load(path)
    before = {key: value.clone() for key, value in loaded.state_dict().items()}
    with path.open("r+b") as stream:  # as `cp` does over an existing file
        stream.write(bytes(path.stat().st_size))
    assert all(torch.equal(value, before[key]) for key, value in loaded.state_dict().items())


def test_a_header_that_could_not_be_read_back_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.model.file.LARGEST_HEADER", 4096)
    with pytest.raises(OutputError, match="header"):
        write_file(tmp_path / "m.safetensors", {}, {"note": "x" * 5000}, force=True)
    assert list(tmp_path.iterdir()) == []
