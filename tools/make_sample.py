"""Make the data set that ships with the package, `fashion-sample`, again, byte for byte.

    python tools/make_sample.py FOLDER [OUT]

FOLDER holds the four idx files of Fashion-MNIST, gzipped or not, as Debian's dataset-fashion-mnist installs
them in /usr/share/datasets/fashion-mnist. OUT is where the four smaller files go, by default the package's
own. The same zlib gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, IsthmusError
from isthmus.images.idx import read_idx, write_idx
from isthmus.images.named import SAMPLE_FOLDER

PER_CLASS = {"train": 800, "t10k": 200}


def first_of_each_class(labels: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int64]:
    """Indices of the first `count` of every class, in the order of the set."""
    chosen = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def make_sample(folder: Path, out: Path, *, per_class: dict[str, int] = PER_CLASS) -> None:
    """Write the first images and labels of every class of both splits to `out`, as idx, gzipped.

    Raises:
        DataError: a file of `folder` is missing or damaged.
    """
    for split, count in per_class.items():
        names = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
        images, labels = (read_idx(_either(folder, name)) for name in names)
        if len(images) != len(labels):
            raise DataError(
                "{folder}: {images} images but {labels} labels in {split}",
                id="data.sample-labels",
                folder=folder,
                images=len(images),
                labels=len(labels),
                split=split,
            )
        chosen = first_of_each_class(labels, count)
        for name, array in zip(names, (images, labels), strict=True):
            write_idx(out / f"{name}.gz", array[chosen])


def _either(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        make_sample(Path(arguments[0]), Path(arguments[1]) if len(arguments) == 2 else SAMPLE_FOLDER)
    except IsthmusError as error:
        print(f"isthmus: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
