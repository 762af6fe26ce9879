"""Images as a model sees them, written as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.errors import ExistsError, OutputError
from isthmus.evaluation.passes import per_pass
from isthmus.images.store import ImageSet, Skipped
from isthmus.images.write import grid, save_image
from isthmus.model.autoencoder import Autoencoder
from isthmus.names import safe_outputs
from isthmus.outputs import affects_every_output, check_folder, path_exists
from isthmus.threads import limited


@dataclass(frozen=True)
class Written:
    """Paths written, those that were there already, and images whose file could not be written."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    skipped: tuple[Skipped, ...] = ()


@limited()
def write_reconstructions(
    model: Autoencoder,
    images: ImageSet,
    folder: str | Path,
    *,
    compare: bool = False,
    force: bool = False,
    listener: Callable[[int, int], None] | None = None,
) -> Written:
    """One PNG per image under `folder`, of the same size and sample type, by its name, sub-folders kept.

    Args:
        compare: write the image and its reconstruction side by side.
        force: write again what is already there; otherwise it is left as it is.
        listener: called with (images done, images in all).

    Raises:
        DataError: images of other channels than the model's.
        OutputError: the only file cannot be written, nothing can be written there, or the disk is full.
    """
    check_folder(folder)
    paths = safe_outputs(folder, images.names, suffix=".png")
    missing = [index for index, path in enumerate(paths) if force or not path_exists(path)]
    kept = sorted(set(range(len(paths))) - set(missing))
    written: list[int] = []
    skipped: list[Skipped] = []
    done = len(kept)
    for part in _runs(images, missing):
        given = np.stack([images.image(index) for index in part])
        seen = model.reconstruct(given)
        for index, before, after in zip(part, given, seen, strict=True):
            done += 1
            try:
                save_image(paths[index], grid([before, after], 2) if compare else after, force=force)
            except ExistsError:
                kept.append(index)
            except OutputError as error:
                if len(paths) == 1 or affects_every_output(error):
                    raise
                skipped.append(Skipped(images.names[index], error.message))
            else:
                written.append(index)
        if listener is not None:
            listener(done, len(paths))
    return Written(tuple(paths[i] for i in written), tuple(paths[i] for i in kept), tuple(skipped))


def _runs(images: ImageSet, indices: list[int]) -> Iterator[list[int]]:
    """Neighbours of equal size, few enough for one pass."""
    most = per_pass(images)
    run: list[int] = []
    for index in indices:
        if run and (len(run) == most or images.image(index).shape != images.image(run[0]).shape):
            yield run
            run = []
        run.append(index)
    if run:
        yield run
