"""`Image.open("x.isth")` and `image.save("x.isth")`: `import isthmus.pillow` registers the codec with Pillow.

Opened pictures are decoded with the shipped model that made them, or the one named in the environment
variable ISTHMUS_CODEC.
"""

from __future__ import annotations

import os
from typing import IO, Any

from PIL import Image, ImageFile

from isthmus.api.compression import compress, decompress
from isthmus.codec import container
from isthmus.codec.container import MAGIC, SUFFIX, CompressedFileError
from isthmus.errors import IsthmusError

FORMAT = "ISTHMUS"
MODEL_VARIABLE = "ISTHMUS_CODEC"
_MODES = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}
_OPTIONS = ("quality", "bpp", "psnr", "preview", "effort")


def register_pillow() -> None:
    """Register `.isth` files with Pillow, as `import isthmus.pillow` does. Calling it twice has no effect.

    `image.save(path, quality=50, model=None)` accepts the options of `isthmus.compress`. The model is that of
    the environment variable `ISTHMUS_CODEC`, else `photo-codec` to save, and to open the shipped one that
    made the file.

    Examples:
        >>> import isthmus, numpy as np
        >>> from PIL import Image
        >>> isthmus.register_pillow()
        >>> Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save("black.isth", quality=30)
        >>> with Image.open("black.isth") as image:
        ...     print(image.size)
        (48, 32)
    """
    Image.register_open(FORMAT, CompressedImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, "image/x-isthmus")


class CompressedImageFile(ImageFile.ImageFile):
    """A `.isth` file in Pillow: size and mode from its header at once, pixels on request."""

    format = FORMAT
    format_description = "image compressed by an Isthmus model"
    _data: bytes | None = None

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        try:
            # Pillow checks its own limit on what it opens, so only the format's limit is checked here.
            content = container.read_container(data)
        except CompressedFileError as error:
            raise SyntaxError(error.message) from None  # what Pillow expects of a plug-in
        self._size = content.header.size[::-1]
        self._mode = _MODES[content.header.channels, content.header.alpha]
        for key, tag in (("icc_profile", container.ICC), ("exif", container.EXIF)):
            if (tag, 0) in content.chunks:
                self.info[key] = bytes(content.chunks[tag, 0])
        self.tile = []
        self._data = data

    def load(self) -> Any:
        """Decode, once.

        Raises:
            OSError: the file was made with another model, or there is none.
        """
        if self._data is not None:
            try:
                array = decompress(self._data, model=os.environ.get(MODEL_VARIABLE) or None)
            except IsthmusError as error:
                raise OSError(error.message) from error
            self.im = Image.fromarray(array, self.mode).im
            self._data = None
        return super().load()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:  # noqa: ARG001
    encoder_options = dict(image.encoderinfo)
    metadata = {
        key: encoder_options[key] for key in ("icc_profile", "exif") if encoder_options.get(key) is not None
    }
    if metadata:
        image = image.copy()
        if isinstance(metadata.get("exif"), Image.Exif):
            metadata["exif"] = metadata["exif"].tobytes()
        image.info.update(**metadata)
    options = {key: encoder_options[key] for key in _OPTIONS if encoder_options.get(key) is not None}
    try:
        stream.write(
            compress(image, model=encoder_options.get("model") or _model_from_environment(), **options)
        )
    except IsthmusError as error:
        raise OSError(error.message) from error


def _model_from_environment() -> str:
    return os.environ.get(MODEL_VARIABLE) or "photo-codec"


register_pillow()
