"""Images as a model sees them, written as files."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.file_results import FilesResult, process_files
from isthmus.api.inputs import Bands, DataLike, ModelLike, PathLike, Range, check_count, open_model_and_data
from isthmus.api.result import keys, skipped_inputs, use
from isthmus.atomic import write_bytes
from isthmus.errors import DataError, UsageError
from isthmus.file_jobs import FileJob, InputFiles, Report
from isthmus.images.bands import note_bands, visible_bands
from isthmus.outputs import check_output, is_folder
from isthmus.progress import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

_BATCH_IMAGES = 64
_SMALL_SAMPLES = 2**14  # of one image: beyond, a batch saves nothing


@dataclass(frozen=True, kw_only=True, repr=False)
class ReconstructedFiles(FilesResult):
    """Images as a model sees them, one file each.

    Attributes:
        written: number of files that were written.
        files: their paths.
    """

    schema: ClassVar[str] = "isthmus.reconstruct/1"
    document: ClassVar = keys("out written already_there files")

    files: tuple[str, ...]

    @property
    def written(self) -> int:
        return len(self.files)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["file"], [[path] for path in self.files]

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """The path of each file."""
        return self.rows()


@use
def reconstruct_files(
    model: ModelLike,
    data: DataLike,
    *,
    out: PathLike,
    compare: bool = False,
    scale: int | None = None,
    limit: int | None = None,
    range: Range | None = None,
    force: bool = False,
    workers: int | None = None,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> ReconstructedFiles:
    """Write images as a model sees them.

    Each becomes an image of the same size and sample type under its own name, sub-folders kept. Outputs that
    exist are kept, so that an interrupted job can be repeated. Images of 2 or of 4 to 64 channels, and those
    of 16-bit colour, become TIFF files.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        out: an image file for one image, a `.npy` file for all of one size, `(N, H, W, C)`, or else a folder
            for PNG or TIFF files.
        compare: write each image and its reconstruction side by side.
        scale: enlarge the written images this many times, each pixel to a square; by default small images
            next to each other are enlarged, so that they can be seen.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        force: write outputs again that exist.
        workers: images in work at the same time; by default one for each core.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: `scale`, `limit` or `workers` below 1, or model and images exchanged.
        DataError: unreadable images, or colour images for a gray model.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.reconstruct_files(model, images[:3], out="reconstructions/").written
        3
    """
    import numpy as np

    from isthmus.images.conform import to_dtype
    from isthmus.images.outputs import place_side_by_side
    from isthmus.images.write import TIFF_SUFFIXES, WRITABLE, enlarge, save_bands, save_image

    check_count("scale", scale)
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    if compare:
        note_bands(show, network.output_channels)
    reconstructions = _Reconstructions(network, images)
    channels = network.output_channels  # of a model trained on pairs they may be others
    bands = channels not in (1, 3) or (channels == 3 and images.dtype == "uint16")
    suffix = ".tif" if bands and not compare else ".png"
    if Path(out).suffix.lower() == ".npy" and not is_folder(out):
        if compare:
            raise UsageError(
                "an array holds only the reconstructions, and compare writes pictures",
                id="reconstruct.pairs-as-array",
                hint="leave out compare, or write to a folder",
            )
        check_output(out, force=force)
        if images.shape is None:
            raise DataError(
                "{source}: images of different sizes do not form one array",
                id="data.sizes-differ-together",
                hint="out='FOLDER/'",
                source=images.source,
            )
        stacked = np.stack([reconstructions.take(row) for row, _ in enumerate(images.names)])
        stream = io.BytesIO()
        np.save(stream, enlarge(stacked, scale or 1))
        write_bytes(out, stream.getvalue(), force=force)
        path, skipped = os.fspath(out), skipped_inputs(images.skipped)
        return ReconstructedFiles(out=path, files=(path,), already_there=0, skipped=skipped)

    def reconstruct(job: FileJob, _: Report) -> str:
        image, reconstruction = images.image(job.index), reconstructions.take(job.index)
        if compare:
            pair = [visible_bands(image_of_pair) for image_of_pair in (image, reconstruction)]
            if bands:
                pair = [to_dtype(image_of_pair, "uint8") for image_of_pair in pair]
            save_image(job.target, place_side_by_side(pair[0], pair[1], scale), force=force)
        elif bands and job.target.suffix.lower() in TIFF_SUFFIXES:
            save_bands(job.target, enlarge(reconstruction, scale or 1), force=force)
        else:
            save_image(job.target, enlarge(reconstruction, scale or 1), force=force)
        return os.fspath(job.target)

    processed = process_files(
        "reconstructing",
        InputFiles(tuple((Path(name), name) for name in images.names), tuple(images.skipped)),
        reconstruct,
        out=out,
        suffix=suffix,
        suffixes=WRITABLE,
        force=force,
        workers=workers,
        progress=progress,
    )
    return ReconstructedFiles(files=processed.values, **processed.facts(out))


class _Reconstructions:
    """Reconstructions of single images. Small ones are made in batches of neighbours of equal size: one by
    one they take four times as long.
    """

    def __init__(self, network: Autoencoder, images: ImageSet) -> None:
        self._network, self._images = network, images
        self._lock = threading.Lock()
        self._made: dict[int, npt.NDArray[Any]] = {}

    def take(self, row: int) -> npt.NDArray[Any]:
        """The reconstruction of one image; may be called in any thread, about in the order of the images."""
        image = self._images.image(row)
        if image.size > _SMALL_SAMPLES:
            (alone,) = self._reconstruct([row])
            return alone
        with self._lock:
            if row not in self._made:
                near = range(row, min(row + _BATCH_IMAGES, len(self._images)))
                rows = [other for other in near if self._images.image(other).shape == image.shape]
                # Those that were not taken in the meantime belong to outputs that exist.
                recent = {key: item for key, item in self._made.items() if key > row - 2 * _BATCH_IMAGES}
                self._made = recent | dict(zip(rows, self._reconstruct(rows), strict=True))
            return self._made.pop(row)

    def _reconstruct(self, rows: list[int]) -> list[npt.NDArray[Any]]:
        import numpy as np

        return list(self._network.reconstruct(np.stack([self._images.image(row) for row in rows])))
