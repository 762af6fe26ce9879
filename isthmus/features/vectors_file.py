"""Feature vectors as files for other tools: NumPy's .npz, or a Parquet table."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from isthmus.atomic import write_bytes
from isthmus.errors import MissingExtraError
from isthmus.features.api import Embedding
from isthmus.outputs import check_output


def check_vectors_file(path: str | os.PathLike[str], *, force: bool) -> None:
    """Raises OutputError or MissingExtraError when the file could not be written later."""
    check_output(path, force=force)
    if Path(path).suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise MissingExtraError("writing Parquet", "parquet") from None


def save_vectors(path: str | os.PathLike[str], found: Embedding, *, force: bool = True) -> None:
    """Write vectors with names and, where known, labels.

    `.npz` holds `vectors (N, d)` float32, `names`, `labels` and `classes`. `.parquet` has a row per image
    with `name`, `label` (the class's name) and `vector` (a list of d floats).

    Raises:
        OutputError: the file exists (`force` off) or cannot be written.
        MissingExtraError: Parquet without pyarrow.
    """
    images, stream = found.images, io.BytesIO()
    if Path(path).suffix == ".parquet":
        check_vectors_file(path, force=force)
        import pyarrow
        import pyarrow.parquet

        numbers = found.vectors.shape[1]
        flat = pyarrow.array(found.vectors.reshape(-1))
        columns = {"name": pyarrow.array(images.names)}
        if images.labels is not None:
            columns["label"] = pyarrow.array([images.classes[label] for label in images.labels])
        columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(flat, numbers)
        pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    else:
        arrays = {"vectors": found.vectors, "names": np.array(images.names)}
        if images.labels is not None:
            arrays |= {"labels": images.labels, "classes": np.array(images.classes)}
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue(), force=force)
