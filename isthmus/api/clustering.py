"""Groups of similar images, found without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    Range,
    check_choice,
    check_count,
    describe_model,
    open_model_and_data,
    refuse_unused,
)
from isthmus.api.reference import ReferenceKind, fit_extractor_to_data
from isthmus.api.result import PictureResult, keys, skipped_inputs, use
from isthmus.errors import Hint
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress
from isthmus.wording import format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.clustering import ClusterAgreement

ClusterKind = Literal["kmeans", "gmm", "hdbscan"]
SpaceKind = Literal["features", "spectral", "umap"]

DEFAULT_NEIGHBOURS = 10

MAX_UNGROUPED_DRAWN = 10  # images, where no group was found


@dataclass(frozen=True)
class Group:
    """One group of a `Clustering`.

    Attributes:
        images: how many images it has.
        typical: names of its most typical images, at most ten, most typical first.
    """

    images: int
    typical: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Clustering(PictureResult):
    """The group of each image.

    Attributes:
        model: the model, as it was given.
        layer: the stage of the encoder that the features come from.
        reference: what their scaling is fitted to: always `data`, these images.
        images: number of images.
        method: `kmeans`, `gmm` or `hdbscan`.
        space: what was grouped: `features`, `spectral` or `umap`.
        groups: the groups, largest first.
        ungrouped: number of images in no group; only `hdbscan` leaves some out.
        agreement: where labels are known, how the groups agree with them, in shares of 1, means over seeds:
            `accuracy` (best one-to-one matching of groups and classes), `accuracy_deviation`, `purity`, `nmi`
            (mutual information), of the groups of `features` and of each baseline; else empty.
        seeds: number of runs in `agreement`.
        names: of the images.
        assigned: `(N,)` int64 index of each image's group; -1 in no group.
        points: `(N, d)` float32 positions of the images in the space that was grouped.
    """

    schema: ClassVar[str] = "isthmus.cluster/1"
    document: ClassVar = keys("model layer reference images method space groups ungrouped agreement seeds")
    formats: ClassVar = (".csv", ".json", ".npz", ".png")

    model: str
    layer: str
    reference: ReferenceKind
    method: ClusterKind
    space: SpaceKind
    groups: tuple[Group, ...] = field(repr=False)
    agreement: Mapping[str, ClusterAgreement]
    seeds: int
    names: tuple[str, ...] = field(repr=False)
    assigned: npt.NDArray[np.int64] = field(repr=False)
    points: npt.NDArray[np.float32] = field(repr=False)
    _typical_rows: tuple[npt.NDArray[np.int64], ...] = field(repr=False)
    _lookup: ImageLookup = field(repr=False)

    @property
    def images(self) -> int:
        return len(self.assigned)

    @property
    def ungrouped(self) -> int:
        return int((self.assigned < 0).sum())

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """The agreement with labels where they are known, else the groups."""
        if not self.agreement:
            groups: list[list[object]] = [
                [index, group.images, group.typical[0]] for index, group in enumerate(self.groups)
            ]
            if self.ungrouped:
                groups.append(["none", self.ungrouped, self.names[int(self._ungrouped_rows()[0])]])
            return ["group", "images", "most typical"], groups
        rows: list[list[object]] = [
            [name, *(round(100 * x, 2) for x in (a.accuracy, a.accuracy_deviation, a.purity, a.nmi))]
            for name, a in self.agreement.items()
        ]
        return ["vectors", "accuracy %", "± seeds", "purity %", "mutual information %"], rows

    def _ungrouped_rows(self) -> npt.NDArray[np.int64]:
        return (self.assigned < 0).nonzero()[0]

    def summary(self) -> str:
        left_out = f", {self.ungrouped} in none" if self.ungrouped else ""
        return f"{format_count(len(self.groups), 'group')} of {format_count(self.images, 'image')}{left_out}"

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name` and `group` of every image."""
        rows: list[list[object]] = [
            [name, int(group)] for name, group in zip(self.names, self.assigned, strict=True)
        ]
        return ["name", "group"], rows

    def arrays(self) -> dict[str, Any]:
        """`names` and `assigned`, each `(N,)`, and `points (N, d)`."""
        import numpy as np

        return {"names": np.array(self.names), "assigned": self.assigned, "points": self.points}

    def draw(self, scale: int | None = None) -> bytes:
        """The most typical images of each group, a row each."""
        from isthmus.reports.image_sheets import draw_image_rows

        titles = [
            f"{index}: {format_count(group.images, 'image')}" for index, group in enumerate(self.groups)
        ]
        places = list(self._typical_rows)
        if not places:  # hdbscan may find no group at all
            titles = [f"none: {format_count(self.ungrouped, 'image')}"]
            places = [self._ungrouped_rows()[:MAX_UNGROUPED_DRAWN]]
        images = self._lookup.read([int(row) for rows in places for row in rows])
        pictures = (images.image(place) for place in range(len(images)))
        rows = [(title, list(islice(pictures, len(few)))) for title, few in zip(titles, places, strict=True)]
        return draw_image_rows(rows, scale=scale)


@rename_keywords(count="clusters")
@use
def cluster(
    model: ModelLike,
    data: DataLike,
    clusters: int,
    *,
    method: ClusterKind = "kmeans",
    space: SpaceKind = "spectral",
    neighbours: int = DEFAULT_NEIGHBOURS,
    layer: str | None = None,
    seeds: int = 1,
    baselines: bool = True,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> Clustering:
    """Group similar images, without labels.

    Features are scaled on these images. Where the images have labels, a table
    shows how well the groups agree with them, compared with groups of pixels and their principal components.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        clusters: number of groups; `hdbscan` finds it itself and only takes the size of the space from it.
        method: k-means, a Gaussian mixture (McLachlan and Peel 2000), or HDBSCAN (Campello et al. 2013).
        space: group the features, or where the graph of their nearest neighbours puts the images: its
            eigenvectors (`spectral`, Ng, Jordan and Weiss 2002) or UMAP (McInnes et al. 2018; extra `umap`).
        neighbours: nearest neighbours of each image in that graph.
        layer: read this stage of the encoder; `code` is one.
        seeds: number of runs, with successive seeds, whose agreement with the labels is averaged; the groups
            are those of the first.
        baselines: compare with pixels and their principal components, where labels are known.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of the first run.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown method or space, a number out of its range, more groups than images, or a layer
            that the model has not.
        DataError: unreadable images, or fewer different ones than groups.
        MissingExtraError: `umap` without umap-learn.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.cluster(model, images, 3).assigned.shape
        (40,)
    """
    check_count("clusters", clusters)
    check_choice("method", method, get_args(ClusterKind))
    check_choice("space", space, get_args(SpaceKind))
    check_count("neighbours", neighbours, least=2)
    if space == "features" and neighbours != DEFAULT_NEIGHBOURS:
        refuse_unused("neighbours", "on groups of features", hint=Hint.add(space="spectral"))
    check_count("seeds", seeds)
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    note_bands(show, images.channels)
    from isthmus.features.clustering import check_different, check_request, iter_groupings
    from isthmus.features.contenders import FEATURE_KINDS

    check_request(len(images), clusters, method, space)
    check_different(images, clusters)
    extractor = fit_extractor_to_data(network, images, layer=layer)
    kinds = FEATURE_KINDS if baselines else FEATURE_KINDS[:2]
    stop = Interruption()
    parts = stop.collect(
        iter_groupings(
            network,
            extractor,
            images,
            clusters,
            method=method,
            space=space,
            neighbours=neighbours,
            seeds=seeds,
            seed=seed,
            kinds=kinds,
            progress=progress,
        )
    )
    stop.check(len(parts), 1 if images.labels is None else len(kinds), "grouping")
    grouping = parts[0].clusters
    assigned, typical = grouping.assigned, grouping.typical
    return Clustering(
        model=describe_model(model, network),
        layer=extractor.reading.layer,
        reference="data",
        method=method,
        space=space,
        groups=tuple(
            Group(int((assigned == index).sum()), tuple(images.names[int(row)] for row in rows))
            for index, rows in enumerate(typical)
        ),
        agreement={method.name: method.agreement for method in parts if method.agreement is not None},
        seeds=seeds,
        names=images.names,
        assigned=assigned,
        points=grouping.places,
        skipped=skipped_inputs(images.skipped),
        complete=stop.complete,
        _typical_rows=typical,
        _lookup=ImageLookup(network, data, images, range),
    )
