"""Masks of pictures: one for all, or a folder with a mask for each name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.api.inputs import PathLike

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class IgnoredRegions:
    """Regions that do not count: one mask for all pictures, or a folder with a mask for each name.

    White pixels are ignored. A mask of another size is fitted to the picture.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = Path(path)
        self._shared_mask = None if self._path.is_dir() else _read_white(self._path)

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
        """`(H, W)` bool for the picture of this name; None where the folder has no mask for it."""
        if self._shared_mask is not None:
            return _fit_mask(self._shared_mask, shape)
        path = find_mask(self._path, name)
        return None if path is None else _fit_mask(_read_white(path), shape)


def find_mask(folder: Path, name: str) -> Path | None:
    """The mask of a picture in a folder of masks: of the same name, or with `_mask` or `-mask` behind it.

    Sub-folders of the name are looked for first, then the file name alone.
    """
    place = Path(name)
    for parent in dict.fromkeys((folder / place.parent, folder)):
        for ending in ("", "_mask", "-mask"):
            for suffix in (".png", place.suffix, ".bmp", ".tif", ".tiff"):
                path = parent / f"{place.stem}{ending}{suffix}"
                if path.is_file():
                    return path
    return None


def _read_white(path: Path) -> npt.NDArray[np.bool_]:
    """`(H, W)` bool, true where a mask is white.

    Raises:
        DataError: it cannot be read.
    """
    from isthmus.features.pictures import to_unit
    from isthmus.images.reading import read_image

    is_white: npt.NDArray[np.bool_] = to_unit(read_image(path, channels=1))[..., 0] >= 0.5
    return is_white


def read_mask(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask as `(H, W)` bool of a picture's size; any value above 0 counts where a mask has only 0 and 1."""
    import numpy as np

    from isthmus.images.reading import read_image

    pixels = read_image(path, channels=1)[..., 0]
    top = 1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    is_binary = pixels.dtype != np.float32 and int(pixels.max()) <= 1
    return _fit_mask(pixels > 0 if is_binary else pixels >= top / 2, shape)


def _fit_mask(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask at the size of a picture: the nearest pixel of each."""
    import numpy as np

    if mask.shape == tuple(shape[:2]):
        return mask
    rows, columns = (
        np.minimum((np.arange(side) * mask_side) // side, mask_side - 1)
        for side, mask_side in zip(shape[:2], mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns[None]])
