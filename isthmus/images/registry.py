"""The named data sets: where their official files are, with checksums, and what their classes are called.

Checksums are the publishers' MD5 sums. `$ISTHMUS_MIRROR` replaces the addresses: MIRROR/NAME/FILE.
"""

from __future__ import annotations

from dataclasses import dataclass


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
