"""Data sets by name: `mnist`, `fashion-mnist`, `cifar10`, `fashion-sample`, each with `:train` or `:test`.

Looked for in `$ISTHMUS_DATA/NAME`, then where Debian's dataset-* packages put them, then in the cache folder;
then downloaded into the cache, with their checksums verified. `fashion-sample` ships with the package, and so
does one photograph. Checksums are the publishers' MD5 sums. `$ISTHMUS_MIRROR` replaces the addresses:
MIRROR/NAME/FILE.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, OutputError, UsageError, nearest
from isthmus.images.arrays import read_npz
from isthmus.images.cache import cache_folder
from isthmus.images.idx import read_cifar10, read_idx_set
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.wording import format_count


@dataclass(frozen=True)
class RemoteFile:
    name: str
    md5: str


@dataclass(frozen=True)
class NamedSet:
    """A published data set: `base` + file name is an address; `splits` maps a split to its files."""

    base: str
    splits: dict[str, tuple[RemoteFile, ...]]
    classes: tuple[str, ...]


_CIFAR10 = RemoteFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")

REGISTRY = {
    "mnist": NamedSet(
        base="https://storage.googleapis.com/cvdf-datasets/mnist/",
        splits={
            "train": (
                RemoteFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                RemoteFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ),
            "test": (
                RemoteFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
                RemoteFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
            ),
        },
        classes=tuple("0123456789"),
    ),
    "fashion-mnist": NamedSet(
        base="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        splits={
            "train": (
                RemoteFile("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                RemoteFile("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ),
            "test": (
                RemoteFile("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
                RemoteFile("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
            ),
        },
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": NamedSet(
        base="https://www.cs.toronto.edu/~kriz/",
        splits={"train": (_CIFAR10,), "test": (_CIFAR10,)},
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
    ),
}

# Ships inside the package; made by tools/make_sample.py out of fashion-mnist.
SAMPLE = "fashion-sample"
NAMES = (*REGISTRY, SAMPLE)


PHOTO = Path(__file__).parent / "sample" / "coffee.png"


def sample_photo() -> npt.NDArray[np.uint8]:
    """`(256, 384, 3)` uint8. No shipped model was trained on it."""
    from PIL import Image

    with Image.open(PHOTO) as picture:
        return np.asarray(picture.convert("RGB"))


_TIMEOUT_SECONDS = 30


def download(name: str, file: RemoteFile, base: str, folder: Path) -> Path:
    """Download `file` of the set `name` into `folder`, from `$ISTHMUS_MIRROR`/name/ or else from `base`.

    Raises:
        DataError: no network, no such file there, or another checksum; `folder` is then as before.
    """
    import pooch

    mirror = os.environ.get("ISTHMUS_MIRROR")
    url = f"{mirror.rstrip('/')}/{name}/{file.name}" if mirror else base + file.name
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(
        progressbar=_Progress(file.name), timeout=_TIMEOUT_SECONDS, chunk_size=1 << 16
    )
    hint = f"put {file.name} into {folder} or into $ISTHMUS_DATA/{name}"
    try:
        checksum = f"md5:{file.md5}"
        pooch.retrieve(url, known_hash=checksum, fname=file.name, path=folder, downloader=downloader)
    except ValueError as error:
        reason = "its checksum is wrong" if "hash" in str(error) else " ".join(str(error).split())
        raise DataError(
            "{name}: {url} could not be stored: {reason}",
            id="data.download-not-kept",
            hint=hint,
            name=name,
            url=url,
            reason=reason,
        ) from None
    except OSError as error:  # what requests raises derives from OSError
        if error.errno is not None:
            raise OutputError(
                "cannot write into {folder}: {reason}",
                id="output.folder-problem",
                folder=folder,
                reason=error.strerror or error,
            ) from None
        response = getattr(error, "response", None)
        code = getattr(response, "status_code", None)
        reason = f"the server answered {code}" if code else f"no connection ({type(error).__name__})"
        raise DataError(
            "{name}: cannot download {url}: {reason}",
            id="data.download-failed",
            hint=hint,
            name=name,
            url=url,
            reason=reason,
        ) from None
    return folder / file.name


class _Progress:
    """The progress of a download, for pooch: one line on a terminal, nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        self.done += count
        if sys.stderr.isatty():
            share = f"{min(1.0, self.done / self.total):4.0%}" if self.total else f"{self.done >> 20} MB"
            sys.stderr.write(f"\rdownloading {self.name} {share}")
            sys.stderr.flush()

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\n")


SYSTEM_FOLDER = Path("/usr/share/datasets")
SAMPLE_FOLDER = Path(__file__).parent / "sample"
_SPLITS = ("train", "test")
_CIFAR_ARRAYS = ("cifar10.npz", "cifar10-40k.npz")


def is_name(data: str) -> bool:
    """Whether `data` is the name of a known set, with or without a split."""
    return data.partition(":")[0] in NAMES


def read_named(data: str) -> ImageSet:
    """Read a named set: `NAME` or `NAME:SPLIT`, the split "train" (default) or "test".

    Raises:
        UsageError: unknown name or split, with the nearest known one.
        DataError: found but damaged, a split that the copy found does not have, or not found and not to be
            downloaded; the hint then says where to put the files.
    """
    name, split = _split_name(data)
    split = split or "train"
    if split not in _SPLITS:
        raise UsageError(
            "'{data}': unknown split '{split}'{suggestion}",
            id="data.unknown-split",
            data=data,
            split=split,
            suggestion=nearest(split, _SPLITS),
        )
    if name == SAMPLE:
        images = _from_folder("fashion-mnist", split, SAMPLE_FOLDER)
        if images is None:
            raise DataError(
                "{name}: {folder} is incomplete; install isthmus again",
                id="data.sample-incomplete",
                name=SAMPLE,
                folder=SAMPLE_FOLDER,
            )
        return replace(images, source=data)
    for folder in _folders(name):
        if (images := _from_folder(name, split, folder)) is not None:
            return replace(images, source=data)
    for file in REGISTRY[name].splits[split]:
        download(name, file, REGISTRY[name].base, cache_folder() / name)
    images = _from_folder(name, split, cache_folder() / name)
    assert images is not None  # every file of the split has just been written there
    return replace(images, source=data)


def _split_name(data: str) -> tuple[str, str]:
    name, _, split = data.partition(":")
    if name not in NAMES:
        raise UsageError(
            "unknown data set '{name}'{suggestion}",
            id="data.unknown-set",
            name=name,
            suggestion=nearest(name, NAMES),
        )
    return name, split


def where(data: str) -> Path | None:
    """The folder that `NAME` or `NAME:SPLIT` would be read from now; None if it would be downloaded.

    Raises:
        UsageError: unknown name, with the nearest known one.
    """
    name, split = _split_name(data)
    if name == SAMPLE:
        return SAMPLE_FOLDER
    splits = REGISTRY[name].splits
    files = [file.name for key, files in splits.items() if split in ("", key) for file in files]
    arrays = _CIFAR_ARRAYS if name == "cifar10" else ()
    for folder in _folders(name):
        if any(_file(folder, file) for file in files) or any((folder / file).is_file() for file in arrays):
            return folder
    return None


def _folders(name: str) -> list[Path]:
    folders = [SYSTEM_FOLDER / name, cache_folder() / name]
    if chosen := os.environ.get("ISTHMUS_DATA"):
        folders.insert(0, Path(chosen).expanduser() / name)
    return folders


def _from_folder(name: str, split: str, folder: Path) -> ImageSet | None:
    entry = REGISTRY[name]
    if name == "cifar10":
        return _cifar(entry, split, folder)
    images, labels = (_file(folder, file.name) for file in entry.splits[split])
    if images is None or labels is None:
        return None
    return replace(read_idx_set(images, labels=labels), classes=entry.classes)


def _cifar(entry: NamedSet, split: str, folder: Path) -> ImageSet | None:
    archive = folder / entry.splits[split][0].name
    if archive.is_file():
        return read_cifar10(archive, split=split, classes=entry.classes)
    for name in _CIFAR_ARRAYS:
        path = folder / name
        if not path.is_file():
            continue
        if split != "train":
            hint = f"put {archive.name} into {folder}"
            raise DataError(
                "cifar10:{split}: {path} holds training images only",
                id="data.cifar10-training-only",
                hint=hint,
                split=split,
                path=path,
            )
        images = read_npz(path)
        note = Message(
            "{images}, read from {path}",
            id="reading.from-files",
            images=format_count(len(images), "training image"),
            path=path.name,
        )
        return replace(images, classes=entry.classes if images.labels is not None else (), notes=(note,))
    return None


def _file(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / name.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    return None
