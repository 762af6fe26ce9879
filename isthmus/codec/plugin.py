"""`Image.open("x.isth")` and `image.save("x.isth")`: the codec as a plug-in of Pillow.

Opened pictures are decoded with the shipped model, or the one named in the environment variable
ISTHMUS_CODEC.
"""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

from isthmus.codec import container
from isthmus.codec.container import MAGIC, SUFFIX, CompressedFileError
from isthmus.errors import IsthmusError

FORMAT = "ISTHMUS"
MODEL_VARIABLE = "ISTHMUS_CODEC"
_MODES = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}


def register_pillow() -> None:
    """Teach Pillow to open and save `.isth` files; what `import isthmus.pillow` does. Harmless when repeated.

    `image.save(path, quality=50, model=None)` takes what `isthmus.compress` takes.
    """
    Image.register_open(FORMAT, CompressedImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, "image/x-isthmus")


class CompressedImageFile(ImageFile.ImageFile):
    """A `.isth` file in Pillow: size and mode from its header at once, pixels when they are asked for."""

    format = FORMAT
    format_description = "image compressed by an Isthmus model"

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        try:
            # Pillow's own limit guards what it opens, so only the format's is asked for here.
            self._found = container.read(data)
        except CompressedFileError as error:
            raise SyntaxError(error.message) from None  # what Pillow expects of a plug-in
        header = self._found.header
        self._size = header.size[::-1]
        self._mode = _MODES[header.channels, header.alpha]
        for key, tag in (("icc_profile", container.ICC), ("exif", container.EXIF)):
            if (tag, 0) in self._found.chunks:
                self.info[key] = bytes(self._found.chunks[tag, 0])
        self.tile = []

    def load(self) -> Any:
        """Decode, once.

        Raises:
            OSError: the file was made with another model, or there is none.
        """
        if self._found is not None:
            from isthmus.codec.decoding import decoded
            from isthmus.codec.models import codec_for

            try:
                codec = codec_for(os.environ.get(MODEL_VARIABLE) or None)
                array = decoded(self._found, codec).picture.array()
            except IsthmusError as error:
                raise OSError(error.message) from error
            self.im = Image.fromarray(array, self.mode).im
            self._found = None
        return super().load()

    _found: container.Container | None = None


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:  # noqa: ARG001
    from isthmus.codec.api import check_request, compressed
    from isthmus.codec.models import codec_for
    from isthmus.codec.picture import Picture
    from isthmus.images.modes import colour_channels, is_transparent, pixels_of, sample_type

    options = dict(image.encoderinfo)
    known: dict[str, Any] = {key: options.get(key) for key in ("quality", "bpp", "psnr", "preview")}
    known["effort"] = options.get("effort", 0)
    try:
        check_request(**known)
        if sample_type(image) != np.uint8:
            raise OSError(f"cannot write mode {image.mode} as {FORMAT}: it has more than 8 bits per sample")
        array = pixels_of(image, alpha="keep")
        colour = colour_channels(image)
        alpha = np.ascontiguousarray(array[:, :, colour]) if is_transparent(image) else None
        profile = options.get("icc_profile", image.info.get("icc_profile"))
        exif = options.get("exif", image.info.get("exif"))
        exif = exif.tobytes() if isinstance(exif, Image.Exif) else exif
        found = Picture(array[:, :, :colour], alpha, profile, exif)
        model = options.get("model") or os.environ.get(MODEL_VARIABLE) or None
        stream.write(compressed(found, codec_for(model), **known).data)
    except IsthmusError as error:
        raise OSError(error.message) from error
