"""Training from a map on disk is, bit for bit, training from memory; also when stopped inside an epoch."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.errors import Stopped
from isthmus.model.autoencoder import Autoencoder

from .cases import pictures, run_training, small, stop_after, train


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty images in three archives, in the order that the array of `pictures(60)` has."""
    monkeypatch.setenv("ISTHMUS_CACHE", str(tmp_path / "usual"))
    folder = tmp_path / "shards"
    folder.mkdir()
    images = pictures(60)
    for number in range(3):
        with tarfile.open(folder / f"{number}.tar", "w") as archive:
            for index in range(20 * number, 20 * number + 20):
                stream = io.BytesIO()
                Image.fromarray(images[index, :, :, 0]).save(stream, "PNG")
                entry = tarfile.TarInfo(f"{index:03}.png")
                entry.size = stream.tell()
                archive.addfile(entry, io.BytesIO(stream.getvalue()))
    return folder


def same(model: Autoencoder, other: Autoencoder) -> bool:
    first, second = model.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(
    "options", [{}, {"crop": 8, "augment_orientations": True}, {"size": 8}], ids=["whole", "crops", "resized"]
)
def test_a_map_gives_the_weights_that_memory_gives(
    options: dict[str, object], shards: Path, tmp_path: Path
) -> None:
    recipe = small("conv", code="4@4")
    in_memory = train(shards, recipe, steps=15, **options)
    mapped = train(shards, recipe, steps=15, cache=str(tmp_path / "cache"), **options)
    assert list((tmp_path / "cache").glob("*.pixels"))
    assert same(in_memory, mapped)
    assert in_memory.summary["history"] == mapped.summary["history"]
    if "size" not in options:
        assert same(in_memory, train(pictures(60), recipe, steps=15, **options))


def test_stopped_inside_an_epoch_it_goes_on_bit_for_bit(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small("conv", code="8")  # in batches of 8: the 10th step is inside an epoch
    straight = train(shards, recipe, steps=17, cache=str(tmp_path / "cache"))
    out = tmp_path / "m.safetensors"
    stop_after(monkeypatch, 10)
    with pytest.raises(Stopped):
        train(shards, recipe, steps=17, cache=str(tmp_path / "cache"), out=out)
    stop_after(monkeypatch, None)
    assert same(straight, run_training(shards, out=out, resume=True))


def test_every_epoch_holds_every_image_once_in_a_new_order(shards: Path, tmp_path: Path) -> None:
    from isthmus.images.batches import Batches

    images = isthmus.read(shards, cache=tmp_path / "cache")
    stream = Batches(images, batch=12, seed=0)
    epochs = [np.concatenate([stream.indices(5 * e + i) for i in range(5)]) for e in range(3)]
    assert all(sorted(epoch.tolist()) == list(range(60)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3
    # Neighbours in a batch come from all shards, not from a window of one.
    assert all(len(set((epoch[:12] // 20).tolist())) == 3 for epoch in epochs)
