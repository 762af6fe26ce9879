"""Facts and preview of a compressed file, without any model and without decoding; imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from isthmus.codec import container
from isthmus.codec.container import CompressedFileError, Container
from isthmus.input_files import NotAFileError, open_input

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_Result = TypeVar("_Result")


def inspect_compressed_file(
    path: str | os.PathLike[str], *, max_pixels: int = container.MAX_PIXELS
) -> dict[str, Any]:
    """The facts of a file whose every checksum is right.

    Raises:
        CompressedFileError: not such a file, or damaged; the message names it.
    """

    def work() -> dict[str, Any]:
        data = read_compressed(path)
        return describe_file(container.read_container(data, max_pixels=max_pixels), len(data))

    return with_name(path, work)


def describe_file(file: Container, total: int) -> dict[str, Any]:
    """Fields of the header and where the bytes go; `total` is the length of the file."""
    header = file.header
    height, width = header.size
    parts = {
        name: sum(container.CHUNK_BYTES + len(data) for (tag, _), data in file.chunks.items() if tag == kind)
        for name, kind in (
            ("tiles", container.TILE),
            ("alpha", container.ALPHA),
            ("icc", container.ICC),
            ("exif", container.EXIF),
            ("preview", container.PREVIEW),
        )
    }
    return {
        "bytes": total,
        "bpp": 8 * total / (height * width),
        "format": container.VERSION,
        "size": [height, width],
        "channels": header.channels,
        "alpha": header.alpha,
        "quality": header.quality / 100,
        "tile": header.tile,
        "tiles": header.tiles,
        "made_with": header.model.hex(),
        "parts": {"header": container.HEADER_BYTES, **{name: size for name, size in parts.items() if size}},
    }


def read_preview(file: Container) -> npt.NDArray[np.uint8] | None:
    """The small picture in a file, `(H, W, 3)` or `(H, W, 4)` uint8; None where it has none.

    Raises:
        CompressedFileError: it is damaged.
    """
    import io

    import numpy as np
    from PIL import Image

    from isthmus.images.opening import pillow_limits

    payload = file.chunks.get((container.PREVIEW, 0))
    if payload is None:
        return None
    try:
        with pillow_limits(2**20), Image.open(io.BytesIO(payload), formats=["WEBP"]) as image:
            if image.width * image.height > 2**20:
                raise ValueError("too large")
            return np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    except Exception:  # Pillow raises nearly every type on damaged files
        raise CompressedFileError(
            "damaged: its preview cannot be decoded", id="compressed-file.preview"
        ) from None


def read_compressed(data: bytes | str | os.PathLike[str] | IO[bytes]) -> bytes:
    """Bytes as they are, or those of a file, which may be open.

    Raises:
        CompressedFileError: no such file, or it cannot be read.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if not isinstance(data, (str, os.PathLike)):
        return data.read()
    path = Path(data)
    try:
        with open_input(path) as stream:
            return stream.read()
    except FileNotFoundError:
        raise CompressedFileError("{path}: no such file", id="compressed-file.missing", path=path) from None
    except IsADirectoryError:
        raise CompressedFileError("{path}: is a folder", id="compressed-file.is-folder", path=path) from None
    except NotAFileError as error:
        raise CompressedFileError(
            "{path}: {reason}", id="compressed-file.problem", path=path, reason=error.strerror
        ) from None
    except OSError as error:
        raise CompressedFileError(
            "{path}: cannot be opened ({reason})",
            id="compressed-file.cannot-open",
            path=path,
            reason=error.strerror or error,
        ) from None


def with_name(source: str | os.PathLike[str], work: Callable[[], _Result]) -> _Result:
    """`work`'s result; its errors begin with the file's name."""
    try:
        return work()
    except CompressedFileError as error:
        prefix = f"{os.fspath(source)}: "
        if error.message.startswith(prefix):
            raise
        named_error = CompressedFileError(
            "{path}: {reason}",
            id="compressed-file.problem",
            hint=error.hint,
            path=source,
            reason=error.message,
        )
        named_error.reason = error.message
        raise named_error from None
