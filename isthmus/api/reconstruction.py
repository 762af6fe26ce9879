"""Images as a model sees them, written as files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.file_results import FilesResult, process_files
from isthmus.api.inputs import DataLike, ModelLike, PathLike, check_count, open_model_and_data
from isthmus.api.result import skipped_inputs, use
from isthmus.file_jobs import FileJob, InputFiles, Report
from isthmus.progress import Progress

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, repr=False)
class ReconstructedFiles(FilesResult):
    """Images as a model sees them, one file each.

    Attributes:
        written: number of files that were written.
        files: their paths.
    """

    schema: ClassVar[str] = "isthmus.reconstruct/1"
    document: ClassVar = {
        "out": "out",
        "written": "written",
        "already_there": "already_there",
        "files": "files",
    }

    files: tuple[str, ...]

    @property
    def written(self) -> int:
        return len(self.files)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["file"], [[path] for path in self.files]


@use
def reconstruct_files(
    model: ModelLike,
    data: DataLike,
    *,
    out: PathLike,
    compare: bool = False,
    scale: int = 1,
    limit: int | None = None,
    force: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ReconstructedFiles:
    """Write images as a model sees them.

    Each becomes an image of the same size and sample type under its own name, sub-folders kept. Outputs that
    exist are kept, so that an interrupted job can be repeated.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        out: an image file for one image, else a folder for PNG files.
        compare: write each image and its reconstruction side by side.
        scale: enlarge what is written so many times, each pixel to a square.
        limit: at most so many images, evenly spaced.
        force: write outputs again that exist.
        workers: images in work at the same time; by default one for each core.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: `scale`, `limit` or `workers` below 1, or model and images exchanged.
        DataError: unreadable images, or colour images for a gray model.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.reconstruct_files(model, images[:3], out="seen/").written
        3
    """
    from isthmus.images.write import WRITABLE, grid, save_image

    check_count("scale", scale)
    network, images = open_model_and_data("reconstruct_files", model, data, limit=limit, out=os.fspath(out))

    def reconstruct(job: FileJob, _: Report) -> str:
        image = images.image(job.index)
        seen = network.reconstruct(image[None])[0]
        save_image(job.target, _enlarge(grid([image, seen], 2) if compare else seen, scale), force=force)
        return os.fspath(job.target)

    done = process_files(
        "reconstructing",
        InputFiles(tuple((Path(name), name) for name in images.names)),
        reconstruct,
        out=out,
        suffix=".png",
        suffixes=WRITABLE,
        force=force,
        workers=workers,
        progress=progress,
    )
    return ReconstructedFiles(
        out=os.fspath(out),
        files=done.values,
        already_there=done.already_there,
        skipped=skipped_inputs(images.skipped, done.skipped),
    )


def _enlarge(image: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    return image.repeat(scale, axis=0).repeat(scale, axis=1)
