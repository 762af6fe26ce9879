"""Images as a model sees them, written as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.evaluate.passes import per_pass
from isthmus.images.store import ImageSet
from isthmus.images.write import grid, output_names, save_image
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited


@dataclass(frozen=True)
class Written:
    """Paths written, and those that were there already."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


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
        OutputError: a file cannot be written.
    """
    paths = [Path(folder, *name.split("/")) for name in output_names(images.names, ".png")]
    missing = [index for index, path in enumerate(paths) if force or not path.exists()]
    done = len(paths) - len(missing)
    for part in _runs(images, missing):
        given = np.stack([images.image(index) for index in part])
        seen = model.reconstruct(given)
        for index, before, after in zip(part, given, seen, strict=True):
            save_image(paths[index], grid([before, after], 2) if compare else after, force=force)
            done += 1
        if listener is not None:
            listener(done, len(paths))
    kept = sorted(set(range(len(paths))) - set(missing))
    return Written(tuple(paths[i] for i in missing), tuple(paths[i] for i in kept))


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
