"""Images that a model made: the results of `generate`, `interpolate`, `transform`, `augment` and frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.result import PictureResult
from isthmus.outputs import check_output, is_folder
from isthmus.wording import format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, repr=False)
class GeneratedImages(PictureResult):
    """Base of results that hold images which were made.

    It is saved as a contact sheet (`.png` or another picture), as `.npz` with the array `images`, as an
    animation (`.gif`, `.webp`) where the images follow one another, or as a folder of numbered files.
    `numpy.asarray` gives the pixels.

    Attributes:
        model: the model, as it was given.
        count: number of images.
        size: height and width in pixels.
        pixels: `(N, H, W, C)` uint8.
    """

    formats: ClassVar[tuple[str, ...]] = (".png", ".npz", ".json")
    as_folder: ClassVar[bool] = True
    output_keys: ClassVar = {}
    file_facts: ClassVar = {"files": "paths of the files written with `-o`"}
    animated: ClassVar[bool] = False
    """Whether the images follow one another, so that `.gif` and `.webp` are animations."""
    labelled: ClassVar[bool] = False
    """Whether the images have labels, which a picture cannot hold."""

    model: str
    pixels: npt.NDArray[np.uint8] = field(repr=False)

    @property
    def count(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    @property
    def columns(self) -> int | None:
        """Columns of the contact sheet; None for a square one."""
        return None

    @property
    def milliseconds(self) -> int | None:
        """How long each frame of an animation is shown; None for one that is played there and back."""
        return None

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, `(H, W, C)` uint8."""
        pixels: npt.NDArray[np.uint8] = self.pixels[index]
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        import numpy as np

        return np.array(self.pixels, dtype=dtype, copy=copy)

    def summary(self) -> str:
        height, width = self.size
        return f"{format_count(self.count, 'image')} of {height}×{width} pixels"

    def arrays(self) -> dict[str, Any]:
        """`images (N, H, W, C)` uint8."""
        return {"images": self.pixels}

    def draw(self, scale: int | None = None) -> bytes:
        """All images on one sheet; small ones are enlarged."""
        from isthmus.images.outputs import contact_sheet
        from isthmus.images.write import encode_image

        return encode_image("sheet.png", contact_sheet(self.pixels, self.columns, scale=scale))

    @classmethod
    def is_enlarged(cls, path: str | os.PathLike[str]) -> bool:
        return not _is_document(path) and (Path(path).suffix.lower() != ".npz" or is_folder(path))

    @classmethod
    def _check_place(cls, path: str | os.PathLike[str], *, force: bool) -> None:
        from isthmus.images.outputs import check_free

        if _is_document(path):
            check_output(path, force=force)
        else:
            check_free(os.fspath(path), force, labelled=cls.labelled)

    def _write(self, path: str | os.PathLike[str], *, force: bool, scale: int | None = None) -> None:
        from isthmus.images.outputs import write_images

        if _is_document(path):
            super()._write(path, force=force)
            return
        write_images(
            os.fspath(path),
            self.pixels,
            columns=self.columns,
            animate=self.animated,
            milliseconds=self.milliseconds,
            scale=scale,
            force=force,
            **self._classes(),
        )

    def describe_files(self, paths: Sequence[str]) -> dict[str, Any]:
        """`files`: what was written to these paths."""
        from isthmus.images.outputs import image_paths

        names: list[str] = []
        for path in paths:
            paths_of_images = (
                [Path(path)]
                if _is_document(path)
                else image_paths(path, self.count, channels=self.pixels.shape[3], **self._classes())
            )
            names += map(str, paths_of_images)
        return {"files": names}

    def _classes(self) -> dict[str, Any]:
        """Labels and classes, for a folder with one sub-folder per class."""
        return {}


def _is_document(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".json" and not is_folder(path)
