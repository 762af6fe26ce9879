"""Data sets by name: where they are looked for, how they are fetched, and what ships."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from scripts import load_script

from isthmus.errors import DataError, OutputError, UsageError
from isthmus.images import named
from isthmus.images.idx import read_idx, write_idx
from isthmus.images.named import REGISTRY, NamedSet, RemoteFile, read_named

sample = load_script("tools/make_sample.py")


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".system"
    monkeypatch.setattr(named, "SYSTEM_FOLDER", folder)
    return folder


def write_set(folder: Path, value: int, *, suffix: str = ".gz") -> None:
    for prefix in ("train", "t10k"):
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", np.full((4, 3, 3), value, np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", np.array([0, 9, 1, 9], np.uint8))


def first_value(data: str) -> int:
    return int(read_named(data).image(0)[0, 0, 0])


def test_lookup_order(tmp_path: Path, cache: Path, system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(cache / "mnist", 3)
    assert first_value("mnist") == 3
    write_set(system / "mnist", 2)
    assert first_value("mnist") == 2
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "mine"))
    assert first_value("mnist") == 2
    write_set(tmp_path / "mine" / "mnist", 1, suffix="")
    assert first_value("mnist:test") == 1
    images = read_named("mnist:test")
    assert images.source == "mnist:test"
    assert images.classes == tuple("0123456789")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 9, 1, 9]


def test_unknown_names_and_splits_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'fashion-mnist'"):
        read_named("fashon-mnist")
    with pytest.raises(UsageError, match="did you mean 'test'"):
        read_named("mnist:tets")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mirror on the loopback; yields the folder it serves."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        monkeypatch.setenv("ISTHMUS_MIRROR", f"http://127.0.0.1:{http.server_address[1]}/")
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        yield served
        http.shutdown()
        thread.join()


def publish(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve a small mnist whose checksums the registry knows."""
    write_set(served / "mnist", 8)
    official = REGISTRY["mnist"]
    splits = {
        split: tuple(
            RemoteFile(file.name, hashlib.md5((served / "mnist" / file.name).read_bytes()).hexdigest())
            for file in files
        )
        for split, files in official.splits.items()
    }
    monkeypatch.setitem(REGISTRY, "mnist", NamedSet(official.base, splits, official.classes))


def cached_names(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_a_download_is_verified_and_then_kept(
    server: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch)
    assert first_value("mnist:test") == 8
    assert cached_names(cache) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    monkeypatch.setenv("ISTHMUS_MIRROR", "http://127.0.0.1:9")  # the cache is enough now
    assert first_value("mnist:test") == 8


def test_a_wrong_checksum_leaves_nothing(server: Path, cache: Path) -> None:
    write_set(server / "mnist", 8)  # not the official bytes
    with pytest.raises(DataError, match="checksum is wrong") as caught:
        read_named("mnist")
    assert cached_names(cache) == []
    assert str(cache / "mnist") in str(caught.value.hint)


@pytest.mark.usefixtures("server")
def test_a_missing_file_and_a_missing_server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="the server answered 404"):
        read_named("cifar10")
    monkeypatch.setenv("ISTHMUS_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="no connection") as caught:
        read_named("fashion-mnist")
    assert "$ISTHMUS_DATA/fashion-mnist" in str(caught.value.hint)
    assert cached_names(cache) == []


def test_a_cache_that_cannot_be_written_is_not_called_a_missing_connection(
    server: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch)
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot write into"):
        read_named("mnist")


def cifar(path: Path, *, per_batch: int = 3, **replaced: bytes) -> np.ndarray:
    """A small archive in CIFAR-10's binary form; returns the training images (N, 32, 32, 3)."""
    random = np.random.default_rng(1)
    planes = random.integers(0, 256, (6, per_batch, 3, 32, 32), dtype=np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for number, name in enumerate(names):
            records = b"".join(bytes([number]) + image.tobytes() for image in planes[number])
            data = replaced.get(name, records)
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return np.moveaxis(planes[:5].reshape(-1, 3, 32, 32), 1, -1)


def test_cifar_archive(cache: Path) -> None:
    expected = cifar(cache / "cifar10" / "cifar-10-binary.tar.gz")
    images = read_named("cifar10")
    assert np.array_equal(np.asarray(images.pixels), expected)
    assert images.labels is not None
    assert images.labels.tolist() == [i for i in range(5) for _ in range(3)]
    assert images.classes[3] == "cat"
    assert len(read_named("cifar10:test")) == 3


def test_damaged_cifar_archives(cache: Path) -> None:
    path = cache / "cifar10" / "cifar-10-binary.tar.gz"
    cifar(path, data_batch_2=b"short")
    with pytest.raises(DataError, match="data_batch_2"):
        read_named("cifar10")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"not a readable CIFAR-10 archive|missing from the archive"):
        read_named("cifar10")
    path.write_bytes(b"no tar at all")
    with pytest.raises(DataError, match="not a readable CIFAR-10 archive"):
        read_named("cifar10:test")


def test_cifar_as_arrays_has_no_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    pixels = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)
    np.savez(tmp_path / "cifar10/cifar10-40k.npz", images=pixels, labels=np.array([6, 9], np.uint8))
    images = read_named("cifar10")
    assert np.array_equal(np.asarray(images.pixels), pixels)
    assert [images.classes[i] for i in images.labels] == ["frog", "truck"]  # type: ignore[union-attr]
    assert any("cifar10-40k.npz" in note for note in images.notes)
    with pytest.raises(DataError, match="training images only") as caught:
        read_named("cifar10:test")
    assert "cifar-10-binary.tar.gz" in str(caught.value.hint)


@pytest.mark.parametrize(("split", "per_class"), [("train", 800), ("test", 200)])
def test_the_shipped_set_is_balanced_real_and_always_there(split: str, per_class: int) -> None:
    images = read_named(f"fashion-sample:{split}")
    assert len(images) == 10 * per_class
    assert images.shape == (28, 28, 1)
    assert images.classes == REGISTRY["fashion-mnist"].classes
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [per_class] * 10
    assert images.labels[:3].tolist() == ([9, 0, 0] if split == "train" else [9, 2, 1])
    # Distinct pictures, not one repeated.
    assert len(np.unique(images.hashes())) > 0.99 * len(images)


def test_the_shipped_sets_licence_is_with_it() -> None:
    text = (named.SAMPLE_FOLDER / "LICENSE").read_text("utf-8")
    assert "MIT" in text
    assert "Zalando" in text


def test_making_the_sample_is_repeatable(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        labels = random.integers(0, 3, 60).astype(np.uint8)
        pixels = random.integers(0, 256, (60, 4, 4), dtype=np.uint8)
        write_idx(tmp_path / "full" / f"{prefix}-images-idx3-ubyte.gz", pixels)
        write_idx(tmp_path / "full" / f"{prefix}-labels-idx1-ubyte", labels)
    for out in ("one", "two"):
        sample.make_sample(tmp_path / "full", tmp_path / out, per_class={"train": 5, "t10k": 2})
    ones = sorted((tmp_path / "one").iterdir())
    assert len(ones) == 4
    assert all(path.read_bytes() == (tmp_path / "two" / path.name).read_bytes() for path in ones)
    assert sample.main([str(tmp_path / "nowhere"), str(tmp_path / "three")]) == 1
    assert sample.main([]) == 2


def test_the_first_of_each_class_in_official_order() -> None:
    labels = np.array([2, 2, 0, 2, 1, 0, 0], np.uint8)
    assert sample.first_of_each_class(labels, 2).tolist() == [0, 1, 2, 4, 5]


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Debian's dataset-fashion-mnist"
)
def test_the_shipped_set_is_what_make_sample_makes() -> None:
    source = Path("/usr/share/datasets/fashion-mnist")
    images, labels = (read_idx(source / f"t10k-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    chosen = sample.first_of_each_class(labels, 200)
    shipped = read_named("fashion-sample:test")
    assert np.array_equal(np.asarray(shipped.pixels), images[chosen][..., None])
    assert np.array_equal(shipped.labels, labels[chosen])  # type: ignore[arg-type]
