"""CIFAR-10's binary archive, read in place: nothing is unpacked to disk, no member's size is trusted.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version": records of 1 label byte and 3072 pixel
bytes, red plane first.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from isthmus.errors import DataError
from isthmus.images.store import ImageSet

_RECORD = 3073
_MOST_RECORDS = 10_000
_MEMBERS = {
    "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("test_batch.bin",),
}


def read_cifar10(path: str | Path, *, split: str, classes: tuple[str, ...]) -> ImageSet:
    """(N, 32, 32, 3) uint8 images and labels of one split ("train", "test") from `cifar-10-binary.tar.gz`.

    Raises:
        DataError: not this archive, damaged, or a part missing.
    """
    images, labels = [], []
    try:
        with tarfile.open(path, "r:*") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            for name in _MEMBERS[split]:
                member = members.get(name)
                if member is None:
                    raise DataError(
                        "{path}: {name} is missing from the archive",
                        id="data.archive-member-missing",
                        path=path,
                        name=name,
                    )
                if member.size == 0 or member.size % _RECORD or member.size > _RECORD * _MOST_RECORDS:
                    raise DataError(
                        "{path}: {name} holds {size} bytes, not whole CIFAR-10 records",
                        id="data.cifar10-size",
                        path=path,
                        name=name,
                        size=member.size,
                    )
                stream = archive.extractfile(member)
                assert stream is not None  # None only for what is not a file
                records = np.frombuffer(stream.read(), dtype=np.uint8).reshape(-1, _RECORD)
                labels.append(records[:, 0].astype(np.int64))
                images.append(np.moveaxis(records[:, 1:].reshape(-1, 3, 32, 32), 1, -1))
    except DataError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(
            "{path}: not a readable CIFAR-10 archive ({reason})",
            id="data.cifar10-unreadable",
            path=path,
            reason=error,
        ) from None
    pixels = np.ascontiguousarray(np.concatenate(images))
    names = tuple(map(str, range(len(pixels))))
    return ImageSet(pixels, names, np.concatenate(labels), classes, source=f"cifar10:{split}")
