"""Score `structure`: lines and brightness of a picture by place, without a network.

In each cell of a grid the strength of dark and of bright lines in four directions and the brightness are
measured, as logarithms in relation to the picture's own median. Good pictures are divided into families that
look alike (k-means), and a picture is compared with the nearest one by a Gaussian at each place: a line that
is usual in one product, or in one direction, may be unusual in another. The highest distance counts. It is
added how dark the picture is as a whole (low 10th percentile of its inner part): unusually dark counts fully,
unusually bright by half, since defects are more often dark.

Distances are in deviations of good pictures that were compared with fits to others, darkness in those of all
good pictures. A crack across an otherwise regular pattern shows in the directions, a missing part in the
brightness.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.features.line_readings import CELLS, FEATURES, STRENGTHS
from isthmus.model.attachment_check import Rule

FLOOR_SHARE = 0.3  # of the usual strength, below which a strength is noise
BRIGHT_WEIGHT = 0.5

PICTURES_PER_FAMILY, MAX_FAMILIES = 60, 8
PRIOR_CENTRE, PRIOR_SPREAD = 5, 30  # as many pictures of all families are added to each
NEIGHBOUR_SHARE = 0.3  # of covariances that is the mean over all places, at least
PRIOR_PLACES = 10
FOLDS = 5  # in which scores of good pictures are measured by a fit to the others

Values = npt.NDArray[np.float64]


class _Families(NamedTuple):
    """Gaussians of good pictures.

    Attributes:
        centres: `(families, features, places)`.
        roots: `(families, places, features, features)`, by which differences get a variance of one.
    """

    centres: Tensor
    roots: Tensor


def fit_structure(rows: Tensor, seed: int) -> dict[str, Tensor]:
    """Families of good pictures `(n, 10, 10, 10)`, and how their scores vary by fits to the others."""
    floor = (FLOOR_SHARE * rows[:, :STRENGTHS].double().median()).clamp_min(1e-12)
    features, low = _as_features(rows, floor)
    fold = torch.arange(len(rows)) % min(FOLDS, len(rows))
    distances = []
    for number in range(int(fold.max()) + 1):
        fitted = fold != number if len(rows) > 1 else fold == number
        own = _fit_families(features[fitted], seed)
        distances.append(_measure_distances(own, features[fold == number]).amax(1))
    usual_low = torch.stack([low.mean(), low.std(correction=0).clamp_min(1e-3)])
    darkness = _weigh_darkness(low, usual_low)
    scales = [
        torch.stack([values.mean(), values.std(correction=0).clamp_min(1e-3)])
        for values in (torch.cat(distances), darkness)
    ]
    families = _fit_families(features, seed)
    tensors = {
        "centres": families.centres,
        "roots": families.roots,
        "floor": floor.reshape(1),
        "low": usual_low,
        "scales": torch.stack(scales),
    }
    return {name: tensor.float() for name, tensor in tensors.items()}


def structure_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    """`(n, 10, 10)`: the distance from the family at each place plus that of the darkness, in deviations."""
    fitted = {name: tensor.double() for name, tensor in tensors.items()}
    features, low = _as_features(rows, fitted["floor"])
    distances = _measure_distances(_Families(fitted["centres"], fitted["roots"]), features)
    scales = fitted["scales"]
    places = (distances - scales[0, 0]) / scales[0, 1]
    darkness = (_weigh_darkness(low, fitted["low"]) - scales[1, 0]) / scales[1, 1]
    return np.asarray((places + darkness[:, None]).view(-1, CELLS, CELLS).numpy())


def _as_features(rows: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """`(n, features, places)` logarithms in relation to each picture's median, and `(n,)` of darkness."""
    values = rows.double().flatten(2)
    strengths = (values[:, :STRENGTHS] + floor).log()
    features = torch.cat([strengths, values[:, STRENGTHS : STRENGTHS + 1]], 1)
    return features - features.median(2, keepdim=True).values, values[:, -1, 0]


def _weigh_darkness(low: Tensor, usual: Tensor) -> Tensor:
    deviation = (usual[0] - low) / usual[1]
    return torch.where(deviation > 0, deviation, -BRIGHT_WEIGHT * deviation)


def _fit_families(features: Tensor, seed: int) -> _Families:
    family = _divide(features, seed)
    everywhere = features.mean(0)
    counts = family.bincount().double().view(-1, 1, 1)
    sums = torch.zeros(len(counts), *everywhere.shape, dtype=torch.float64).index_add_(0, family, features)
    centres = (sums + PRIOR_CENTRE * everywhere) / (counts + PRIOR_CENTRE)
    away = features - centres[family]
    shared = _covariances(away)
    roots = []
    for number, count in enumerate(counts.flatten()):
        weight = count / (count + PRIOR_SPREAD)
        own = weight * _covariances(away[family == number]) + (1 - weight) * shared
        mean = own.mean(0)
        share = max(NEIGHBOUR_SHARE, PRIOR_PLACES / (PRIOR_PLACES + len(features)))
        least = 1e-3 * (mean.trace() / FEATURES).clamp_min(1e-6) * torch.eye(FEATURES, dtype=torch.float64)
        roots.append(torch.linalg.inv(torch.linalg.cholesky((1 - share) * own + share * mean + least)))
    return _Families(centres, torch.stack(roots))


def _divide(features: Tensor, seed: int) -> Tensor:
    """`(n,)` the family of each picture."""
    count = max(1, min(MAX_FAMILIES, len(features) // PICTURES_PER_FAMILY))
    if count == 1:
        return torch.zeros(len(features), dtype=torch.int64)
    from sklearn.cluster import KMeans

    labels = KMeans(count, n_init=2, random_state=seed).fit(features.flatten(1).numpy()).labels_
    family: Tensor = torch.from_numpy(labels.astype(np.int64)).unique(return_inverse=True)[1]
    return family


def _covariances(away: Tensor) -> Tensor:
    """`(places, features, features)` of differences `(n, features, places)`."""
    summed: Tensor = torch.einsum("ncp,ndp->pcd", away, away)
    return summed / max(1, len(away))


def _measure_distances(families: _Families, features: Tensor) -> Tensor:
    """`(n, places)`: logarithms of squared distances from the nearest family, by its Gaussian."""
    nearest = torch.cdist(features.flatten(1), families.centres.flatten(1)).argmin(1)
    away = features - families.centres[nearest]
    whitened = torch.einsum("npcd,ndp->npc", families.roots[nearest], away)
    return whitened.square().sum(2).clamp_min(1e-6).log()


STRUCTURE_RULES = {
    "centres": Rule("families", FEATURES, CELLS**2),
    "roots": Rule("families", CELLS**2, FEATURES, FEATURES),
    "floor": Rule(1, low=1e-18),
    "low": Rule(2),
    "scales": Rule(2, 2),
}
