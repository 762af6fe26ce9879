"""Binary data sets: idx files, the format of MNIST, and CIFAR-10's archive. Sizes in a header are always
checked.

idx: http://yann.lecun.com/exdb/mnist/, "the IDX file format": two zero bytes, a type code (0x08: unsigned
byte), the number of dimensions, each dimension as a big-endian 32-bit number, then the samples in row order.
CIFAR-10, read without unpacking it to disk: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version":
records of 1 label byte and 3072 pixel bytes, red plane first.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import tarfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from isthmus.atomic import atomic_write
from isthmus.errors import DataError
from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.cache import memory_bytes
from isthmus.images.opening import MAX_PIXELS
from isthmus.images.store import ImageSet
from isthmus.input_files import open_input
from isthmus.wording import format_count

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


# RFC 1951: a deflate stream cannot hold more than 1032 bytes per byte of its own.
DEFLATE_LIMIT = 1032


def is_idx(path: str | Path) -> bool:
    """Whether the name is that of an idx file: `…-ubyte`, `…-ubyte.gz`, `….idx`, `….idx.gz`."""
    return re.search(r"(ubyte|\.idx[13]?)(\.gz)?$", Path(path).name, re.IGNORECASE) is not None


def read_idx(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """The array in an idx file of unsigned bytes, gzipped or not: (N,), (N, H, W) or (N, H, W, C) uint8.

    Raises:
        DataError: not an idx file, another sample type, sizes that the file cannot hold, data too short or
            too long. Memory is allocated as data is read, never by the header alone.
    """
    place = Path(path)
    try:
        with open_input(place) as raw:
            if raw.read(2) != b"\x1f\x8b":
                raw.seek(0)
                return _read(raw, path, place.stat().st_size, max_pixels)
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                most = place.stat().st_size * DEFLATE_LIMIT
                return _read(unpacked, path, most, max_pixels)  # type: ignore[arg-type]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            "{path}: damaged or truncated gzip data ({reason})",
            id="data.gzip-damaged",
            path=path,
            reason=error,
        ) from None
    except OSError as error:
        raise DataError(
            "{path}: cannot be read ({reason})",
            id="data.cannot-read",
            path=path,
            reason=error.strerror or error,
        ) from None


def _read(stream: IO[bytes], path: str | Path, most: int, max_pixels: int) -> npt.NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or not 1 <= magic[3] <= 4:
        raise DataError(
            "{path}: not an idx file (it begins with {begin})",
            id="data.not-idx",
            path=path,
            begin=magic.hex(" ") or "nothing",
        )
    if magic[2] != 0x08:
        raise DataError(
            "{path}: idx type 0x{type:02x} is not read; only unsigned bytes (0x08) are",
            id="data.idx-type",
            path=path,
            type=magic[2],
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError("{path}: the idx header is cut short", id="data.idx-short-header", path=path)
    shape = struct.unpack(f">{magic[3]}I", sizes)
    text, expected = "×".join(map(str, shape)), math.prod(shape)
    if len(shape) == 4 and shape[3] > MAX_CHANNELS:
        raise DataError(
            "{path}: the idx header states {channels} channels ({shape}); 1 to {most} can be read",
            id="data.idx-channels",
            path=path,
            channels=shape[3],
            shape=text,
            most=MAX_CHANNELS,
        )
    if 0 in shape or (len(shape) > 2 and shape[1] * shape[2] > max_pixels):
        raise DataError(
            "{path}: the idx header states images of an impossible size ({shape})",
            id="data.idx-size",
            path=path,
            shape=text,
        )
    if expected > most:
        raise DataError(
            "{path}: the idx header states {shape} bytes, more than the file can hold",
            id="data.idx-promises-too-much",
            path=path,
            shape=text,
        )
    if expected > memory_bytes():
        raise DataError(
            "{path}: {shape} bytes do not fit into this machine's memory",
            id="data.idx-too-large",
            path=path,
            shape=text,
        )
    data = bytearray()
    while len(data) <= expected and (part := stream.read(min(1 << 24, expected + 1 - len(data)))):
        data += part
    if len(data) != expected:
        length_text = "more" if len(data) > expected else f"only {len(data)}"
        raise DataError(
            "{path}: the idx header states {shape} = {expected} bytes, but the file holds {given}",
            id="data.idx-length",
            path=path,
            shape=text,
            expected=expected,
            given=length_text,
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def find_label_file(path: str | Path) -> Path | None:
    """The label file that belongs to an image file: `images-idx3` -> `labels-idx1`, gzipped or not."""
    place = Path(path)
    name = place.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for candidate in (place.with_name(name), place.with_name(name + ".gz")):
        if name != place.name.removesuffix(".gz") and candidate.is_file():
            return candidate
    return None


def read_idx_set(
    path: str | Path, *, labels: str | Path | None = None, max_pixels: int = MAX_PIXELS
) -> ImageSet:
    """Images from an idx file, labels from the given file or from the one next to it.

    Classes are the digits' names.

    Raises:
        DataError: as `read_idx`; a label file instead of images; another number of labels than images.
    """
    pixels = read_idx(path, max_pixels=max_pixels)
    if pixels.ndim < 3:
        raise DataError(
            "{path}: holds labels or vectors ({dimensions} dimensions), not images",
            id="data.idx-no-images",
            path=path,
            dimensions=pixels.ndim,
        )
    beside = find_label_file(path) if labels is None else Path(labels)
    numbers: npt.NDArray[np.int64] | None = None
    if beside is not None:
        label_array = read_idx(beside)
        if label_array.shape != pixels.shape[:1]:
            label_shape = "×".join(map(str, label_array.shape))
            raise DataError(
                "{labels_path}: {labels} labels for {images} in {path}",
                id="data.idx-labels-count",
                labels_path=beside,
                labels=label_shape,
                images=format_count(len(pixels), "image"),
                path=path,
            )
        numbers = label_array.astype(np.int64)
    return ImageSet(
        pixels=pixels[..., None] if pixels.ndim == 3 else pixels,
        names=tuple(map(str, range(len(pixels)))),
        labels=numbers,
        classes=() if numbers is None else tuple(map(str, range(int(numbers.max()) + 1))),
        source=str(path),
    )


def write_idx(path: str | Path, array: npt.NDArray[np.uint8], *, force: bool = True) -> None:
    """Write uint8 samples of 1 to 4 dimensions as idx; gzipped when the name ends in `.gz`.

    The same array always gives the same bytes: level 9, no name, time 0.

    Raises:
        DataError: another sample type or number of dimensions.
        OutputError: cannot be written.
    """
    if array.dtype != np.uint8 or not 1 <= array.ndim <= 4:
        raise DataError(
            "{path}: idx holds uint8 of 1 to 4 dimensions, not {dtype} {shape}",
            id="data.idx-dtype",
            path=path,
            dtype=array.dtype,
            shape=array.shape,
        )
    header = bytes([0, 0, 0x08, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + np.ascontiguousarray(array).tobytes()
    if str(path).endswith(".gz"):
        data = gzip.compress(data, compresslevel=9, mtime=0)
    with atomic_write(path, force=force) as stream:
        stream.write(data)
