"""Pictures one at a time, however many there are: files are read on request, and not kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.api.inputs import DataLike, PathLike, Range, check_count, check_is_data, read_images_for
from isthmus.errors import DataError
from isthmus.file_jobs import describe_failure
from isthmus.log import SkippedInput, log_note
from isthmus.messages import as_message

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.pictures import Picture
    from isthmus.images.listing import ImageFile
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

CHUNK_PICTURES = 256
CHUNK_BYTES = 2**26  # of pixels that are held at once
_NOT_SKIPPED = ("model.channels",)  # errors that concern the model and not one file


@dataclass(eq=False)
class PictureSource(Sequence[Any]):
    """Pictures of a set that is in memory, or of files that are read one at a time.

    Attributes:
        model: pictures have its number of channels.
        names: of the pictures; of files below the folder.
        labels: `(N,)` indices into `classes`, or None.
        groups: of each, as a list names them; empty where none does.
        source: as it was given.
        skipped: what was left out; grows while files are read.
    """

    model: Autoencoder
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    classes: tuple[str, ...]
    source: str
    skipped: list[SkippedInput] = field(default_factory=list)
    _images: ImageSet | None = None
    _files: tuple[ImageFile, ...] = ()
    _range: Range | None = None
    _ignored: IgnoredRegions | None = None
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        return self.model.channels if self._images is None else self._images.channels

    @property
    def in_memory(self) -> ImageSet | None:
        """The set, where its pictures are not read one at a time."""
        return self._images

    def __getitem__(self, row: Any) -> Any:
        """One picture, read now.

        Raises:
            DataError: the file is damaged or no longer there.
        """
        from isthmus.features.pictures import Picture
        from isthmus.model.inference import read_for

        if self._images is not None:
            pixels = self._images.image(row)
        else:
            found = read_for(self.model, os.fspath(self._files[row].place), range=self._range)
            for note in found.notes:
                log_note(as_message(note, id="reading.note"))
            for one in found.skipped:  # pages, of which the first is read
                again = SkippedInput(f"{self.names[row]}{one.name.removeprefix(found.names[0])}", one.reason)
                if again not in self.skipped:
                    self.skipped.append(again)
            pixels = found.image(0)
        ignored = None if self._ignored is None else self._ignored.read(self.names[row], pixels.shape)
        return Picture(pixels, ignored)

    def file(self, row: int) -> Path | None:
        """The file that a picture comes from, where it is one of its own."""
        return None if self._images is not None else Path(self._files[row].place)

    def subset(self, rows: Sequence[int]) -> PictureSource:
        """Some of the pictures, in the order given."""
        import numpy as np

        chosen = np.asarray(rows, dtype=np.int64)
        return PictureSource(
            self.model,
            tuple(self.names[row] for row in chosen),
            None if self.labels is None else self.labels[chosen],
            self.classes,
            self.source,
            self.skipped,
            None if self._images is None else self._images.subset(chosen),
            tuple(self._files[row] for row in chosen) if self._files else (),
            self._range,
            self._ignored,
            tuple(self.groups[row] for row in chosen) if self.groups else (),
        )

    def iter_chunks(self, *, may_be_none: bool = False) -> Iterator[tuple[list[int], list[Picture]]]:
        """Rows and pictures, a few at a time; files that cannot be read are added to `skipped`.

        Args:
            may_be_none: whether no picture at all is an answer, too.

        Raises:
            DataError: none can be read and one must, or they have other channels than the model reads.
        """
        rows: list[int] = []
        pictures: list[Picture] = []
        held, readable = 0, False
        last: DataError | None = None
        for row in range(len(self)):
            try:
                picture = self[row]
            except DataError as error:
                if self._images is not None or error.id in _NOT_SKIPPED:
                    raise
                last = error
                reason = describe_failure(error, self._files[row].path)
                self.skipped.append(SkippedInput(self.names[row], as_message(reason, id=error.id)))
                continue
            readable = True
            rows.append(row)
            pictures.append(picture)
            held += picture.pixels.nbytes
            if len(rows) == CHUNK_PICTURES or held >= CHUNK_BYTES:
                yield rows, pictures
                rows, pictures, held = [], [], 0
        if rows:
            yield rows, pictures
        if not readable and last is not None and not may_be_none:
            raise last


class IgnoredRegions:
    """Regions that do not count: one mask for all pictures, or a folder with a mask for each name.

    White pixels are ignored. A mask of another size is fitted to the picture.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = Path(path)
        self._one = None if self._path.is_dir() else _read_mask(self._path)

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
        """`(H, W)` bool for the picture of this name; None where the folder has no mask for it."""
        if self._one is not None:
            return fit_mask(self._one, shape)
        found = find_mask(self._path, name)
        return None if found is None else fit_mask(_read_mask(found), shape)


def open_pictures(
    model: Autoencoder,
    data: DataLike,
    *,
    limit: int | None = None,
    range: Range | None = None,
    ignore_mask: PathLike | None = None,
) -> PictureSource:
    """The pictures of DATA. A folder of files is only listed; everything else is read at once.

    Raises:
        UsageError, DataError: see `read_images_for`.
    """

    from isthmus.images.listing import labels_of, list_images
    from isthmus.images.sample_range import check_range
    from isthmus.images.shards import find_shards
    from isthmus.log import log_skipped

    ignored = None if ignore_mask is None else IgnoredRegions(ignore_mask)
    is_path = isinstance(data, (str, os.PathLike)) and bool(os.fspath(data))
    if not is_path or not Path(data).is_dir() or find_shards(Path(data)):
        images = read_images_for(model, data, limit=limit, range=range)
        return PictureSource(
            model,
            images.names,
            images.labels,
            images.classes,
            images.source,
            list(images.skipped),
            images,
            _range=range,
            _ignored=ignored,
            groups=images.groups,
        )
    check_is_data(data)
    check_count("limit", limit)
    check_range(range)
    listed = list_images(Path(data))
    for note in listed.notes:
        log_note(as_message(note, id="reading.note"))
    log_skipped(listed.skipped)
    labels, classes = labels_of(listed.files, listed.files)
    found = PictureSource(
        model,
        tuple(file.name for file in listed.files),
        labels,
        classes,
        os.fspath(data),
        list(listed.skipped),
        None,
        tuple(listed.files),
        range,
        ignored,
    )
    if limit is None or limit >= len(found):
        return found
    from isthmus.images.subsets import even_rows

    return found.subset(even_rows(len(found), limit).tolist())


def find_mask(folder: Path, name: str) -> Path | None:
    """The mask of a picture in a folder of masks: of the same name, or with `_mask` or `-mask` behind it.

    Sub-folders of the name are looked for first, then the file name alone.
    """
    place = Path(name)
    for parent in dict.fromkeys((folder / place.parent, folder)):
        for ending in ("", "_mask", "-mask"):
            for suffix in (".png", place.suffix, ".bmp", ".tif", ".tiff"):
                found = parent / f"{place.stem}{ending}{suffix}"
                if found.is_file():
                    return found
    return None


def _read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """`(H, W)` bool, true where a mask is white.

    Raises:
        DataError: it cannot be read.
    """
    from isthmus.features.pictures import to_unit
    from isthmus.images.reading import read_image

    found: npt.NDArray[np.bool_] = to_unit(read_image(path, channels=1))[..., 0] >= 0.5
    return found


def read_mask(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask as `(H, W)` bool of a picture's size; any value above 0 counts where a mask has only 0 and 1."""
    import numpy as np

    from isthmus.images.reading import read_image

    pixels = read_image(path, channels=1)[..., 0]
    top = 1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    few = pixels.dtype != np.float32 and int(pixels.max()) <= 1
    return fit_mask(pixels > 0 if few else pixels >= top / 2, shape)


def fit_mask(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask at the size of a picture: the nearest pixel of each."""
    import numpy as np

    if mask.shape == tuple(shape[:2]):
        return mask
    rows, columns = (
        np.minimum((np.arange(side) * have) // side, have - 1)
        for side, have in zip(shape[:2], mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns[None]])


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(2**20):
                digest.update(part)
    except OSError as error:
        raise DataError(
            "{path} cannot be hashed: {reason}", id="data.unreadable-file", path=path, reason=error.strerror
        ) from error
    return digest.hexdigest()
