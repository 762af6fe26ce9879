"""A search index: the features of a set of images, kept in a file and brought up to date.

An index is one safetensors file. It names the model whose features it holds and every image by its content,
so that images that were added, changed or removed since are found, and only new ones go through the network.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import ModelFileError, UsageError, one_line
from isthmus.features.neighbourhood import nearest
from isthmus.features.readout import FeatureExtractor, extractor_from_state, extractor_state, iter_features
from isthmus.images.store import ImageSet
from isthmus.input_files import parse_json
from isthmus.model import stored_names
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.file import read_file, write_file
from isthmus.model.inference import Rows
from isthmus.model.mark import mark_of
from isthmus.outputs import path_exists

KEY = "isthmus.index"
SUFFIX = ".isthmus-index.safetensors"
Vectors = npt.NDArray[np.float32]
Metric = Literal["cosine", "l2"]


@dataclass(frozen=True)
class Index:
    """`vectors (n, d)`, `hashes (n,)` of the images' content, `names`, and whose features they are.

    The readout is stored with them: fitted again to a set that has grown, it would change all features.
    """

    vectors: Vectors
    hashes: npt.NDArray[np.uint64]
    names: tuple[str, ...]
    readout: FeatureExtractor
    model: str

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class IndexUpdate:
    """An index that is up to date, how many images were `added` and `removed` (or had changed), and the
    `rows` of the set that it holds: all, unless the work was interrupted.
    """

    index: Index
    added: int
    removed: int
    rows: npt.NDArray[np.int64]


def matches_model(index: Index, model: Autoencoder, readout: FeatureExtractor | None = None) -> bool:
    """Whether an index holds features of this model, read in this way."""
    if index.model != mark_of(model, decoder=False):
        return False
    if readout is None:
        return True
    (tensors, facts), (index_tensors, index_facts) = extractor_state(readout), extractor_state(index.readout)
    alike = all(
        t.shape == index_tensors[n].shape and bool((t == index_tensors[n]).all()) for n, t in tensors.items()
    )
    return alike and facts == index_facts


class IndexRefresh:
    """Brings an index up to date: features that `earlier` holds, from the same model, are not computed again.

        for done in work.run(): ...
        fresh = work.finish()

    Args:
        images: what the index is to hold.
        earlier: the index until now.
    """

    def __init__(
        self, model: Autoencoder, readout: FeatureExtractor, images: ImageSet, earlier: Index | None = None
    ) -> None:
        self._model, self._readout, self._images, self._earlier = model, readout, images, earlier
        self._hashes = images.hashes()
        self._known: dict[int, int] = {}  # content of an image -> its row in `earlier`
        if earlier is not None and matches_model(earlier, model, readout):
            self._known = {int(h): row for row, h in enumerate(earlier.hashes)}
        is_new = [int(h) not in self._known for h in self._hashes]
        self._new, self._old = np.flatnonzero(is_new), np.flatnonzero(np.logical_not(is_new))
        self._rows = Rows(len(self._new))

    def __len__(self) -> int:
        """How many images the index holds so far."""
        return len(self._old) + len(self._rows)

    def run(self) -> Iterator[int]:
        """Compute what is new, in parts; yields how many images the index holds after each."""
        if len(self._new):
            new = self._images.subset(self._new)
            for part in iter_features(self._model, new, self._readout, compact=True):
                self._rows.add(part)
                yield len(self)

    def finish(self) -> IndexUpdate:
        """The index of the images; where `run` did not come to its end, of those that were reached."""
        rows = np.sort(np.concatenate([self._old, self._new[: len(self._rows)]]))
        vectors = np.empty((len(self._images), len(self._readout.spread)), dtype=np.float32)
        if len(self._rows):
            vectors[self._new[: len(self._rows)]] = self._rows.array
        earlier = self._earlier
        if earlier is not None and len(self._old):
            vectors[self._old] = earlier.vectors[[self._known[int(self._hashes[i])] for i in self._old]]
        gone = 0 if earlier is None else len(set(earlier.hashes.tolist()) - set(self._hashes.tolist()))
        names, mark = tuple(self._images.names[row] for row in rows), mark_of(self._model, decoder=False)
        if len(rows) < len(vectors):
            vectors = vectors[rows]
        index = Index(vectors, self._hashes[rows], names, self._readout, mark)
        return IndexUpdate(index, len(self._rows), gone, rows)


def save_index(index: Index, path: str | os.PathLike[str]) -> None:
    """Write an index in one step.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {
        "vectors": torch.from_numpy(index.vectors),
        "hashes": torch.from_numpy(index.hashes.view(np.int64)),
        "names": torch.from_numpy(np.frombuffer("\0".join(index.names).encode(), dtype=np.uint8).copy()),
    }
    parts, reading = extractor_state(index.readout)
    facts = {"format": 1, "model": index.model, "reading": reading}
    tensors |= {f"readout.{name}": tensor for name, tensor in parts.items()}
    tensors = {stored_names.stored_index_tensor(name): tensor for name, tensor in tensors.items()}
    write_file(path, tensors, {KEY: json.dumps(stored_names.stored_index(facts))}, force=True)


def load_index(path: str | os.PathLike[str]) -> Index:
    """Read an index.

    Raises:
        ModelFileError: missing, damaged, or not an index.
    """
    tensors, metadata = read_file(path, kind="search index")
    if KEY not in metadata:
        raise ModelFileError("{path} is not a search index", id="search.not-an-index", path=path)
    try:
        facts = stored_names.current_index(parse_json(metadata[KEY]))
        tensors = {stored_names.current_index_tensor(name): tensor for name, tensor in tensors.items()}
        own = {k: t for k, t in tensors.items() if not k.startswith("readout.")}
        check_tensors(
            own,
            {
                "vectors": Rule("n", "d"),
                "hashes": Rule("n", kind="int64", low=-math.inf, high=math.inf),
                "names": Rule("bytes", kind="uint8", low=0, high=255),
            },
        )
        names = tuple(tensors["names"].numpy().tobytes().decode().split("\0"))
        vectors, hashes = tensors["vectors"].numpy(), tensors["hashes"].numpy().view(np.uint64)
        if len(vectors) != len(names) or vectors.dtype != np.float32:
            raise ValueError("its parts have different lengths")
        parts = {k.removeprefix("readout."): t for k, t in tensors.items() if k.startswith("readout.")}
        readout = extractor_from_state(parts, facts["reading"])
        if len(readout.spread) != vectors.shape[1]:
            raise ValueError("its vectors are not of its readout")
        return Index(vectors, hashes, names, readout, str(facts["model"]))
    except DAMAGE as error:
        raise ModelFileError(
            "{path} is a damaged search index: {reason}",
            id="search.index-damaged",
            path=path,
            reason=one_line(error),
        ) from error


def load_usable(path: str | os.PathLike[str]) -> Index | None:
    """The index at `path`; None if there is none, or a damaged one, which is made again.

    Raises:
        ModelFileError: there is another file, whose name is not that of an index: it is not to be replaced.
    """
    if not path_exists(path):
        return None
    try:
        return load_index(path)
    except ModelFileError:
        if os.fspath(path).endswith(SUFFIX):
            return None
        raise


def is_current(index: Index | None, model: Autoencoder, readout: FeatureExtractor, images: ImageSet) -> bool:
    """Whether an index holds the features of exactly these images, under their names."""
    return (
        index is not None
        and matches_model(index, model, readout)
        and index.names == images.names
        and set(index.hashes.tolist()) == set(images.hashes().tolist())
    )


def find_nearest(
    vectors: Vectors, queries: Vectors, count: int, *, metric: Metric = "cosine"
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """The `count` rows of `vectors (N, d)` that are most similar to each query `(n, d)`, most similar first.

    Args:
        metric: `cosine` gives cosines, 1 for the same direction; `l2` gives distances between features of
            length 1, 0 for a copy. The order is the same.

    Returns:
        Values `(n, count)` and rows of `vectors` `(n, count)`.

    Raises:
        UsageError: an unknown metric.
    """
    if metric not in ("cosine", "l2"):
        raise UsageError(
            "metric '{metric}' is not known; known: cosine, l2", id="search.unknown-metric", metric=metric
        )
    distances, rows = _search_exact(queries, vectors, min(count, len(vectors)))
    values = distances if metric == "l2" else 1 - np.square(distances) / 2
    return np.asarray(values, dtype=np.float32), rows


MIN_FAISS_ROWS = 1_000_000


def _search_exact(queries: Vectors, vectors: Vectors, count: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    if len(vectors) >= MIN_FAISS_ROWS:
        try:
            import faiss
        except ImportError:
            return nearest(queries, vectors, count)
        flat = faiss.IndexFlatL2(vectors.shape[1])
        flat.add(vectors)
        squares, rows = flat.search(np.ascontiguousarray(queries), count)
        return np.sqrt(np.maximum(squares, 0)), np.asarray(rows, dtype=np.int64)
    return nearest(queries, vectors, count)
