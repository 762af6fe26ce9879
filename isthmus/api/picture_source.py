"""Pictures one at a time, however many there are: a file is read each time its picture is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.api.inputs import Range
from isthmus.api.picture_masks import IgnoredRegions
from isthmus.errors import DataError
from isthmus.file_jobs import describe_failure
from isthmus.log import SkippedInput, log_note
from isthmus.messages import as_message

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.pictures import Picture
    from isthmus.images.listing import ImageFile
    from isthmus.images.store import ImageSet, Pixels
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
    _logged: set[str] = field(default_factory=set)  # notes, each of which is logged once

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

        pixels = self._read_file(row) if self._images is None else self._images.image(row)
        ignored = None if self._ignored is None else self._ignored.read(self.names[row], pixels.shape)
        return Picture(pixels, ignored)

    def _read_file(self, row: int) -> Pixels:
        from isthmus.images.reading_notes import header_notes
        from isthmus.images.sources import read_source
        from isthmus.images.store import ImageSet
        from isthmus.model.inference import fit_channels

        path = self._files[row].path
        header, pixels = read_source(path, value_range=self._range)
        images = ImageSet(pixels[None], names=(path.name,), notes=header_notes(header), source=str(path))
        images = fit_channels(images, self.model.channels)
        for note in images.notes:
            if str(note) not in self._logged:  # a whole folder may be of one kind
                self._logged.add(str(note))
                log_note(as_message(note, id="reading.note"))
        return images.image(0)

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
            self._logged,
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
        chunk_bytes, is_readable = 0, False
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
            is_readable = True
            rows.append(row)
            pictures.append(picture)
            chunk_bytes += picture.pixels.nbytes
            if len(rows) == CHUNK_PICTURES or chunk_bytes >= CHUNK_BYTES:
                yield rows, pictures
                rows, pictures, chunk_bytes = [], [], 0
        if rows:
            yield rows, pictures
        if not is_readable and last is not None and not may_be_none:
            raise last
