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
MAX_CLUSTERED = 3_000  # pictures by which families are found
PICTURES_AT_ONCE = 256  # in double precision

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
    """Families of good pictures `(n, 10, 10, 10)`, and how their scores vary by fits to the others.

    Besides the rows about as much memory again is taken: a few pictures are in double precision together.
    """
    floor = (FLOOR_SHARE * rows[:, :STRENGTHS].median().double()).clamp_min(1e-12)
    features = torch.empty(len(rows), FEATURES, CELLS**2)
    low = torch.empty(len(rows), dtype=torch.float64)
    for part in torch.arange(len(rows)).split(PICTURES_AT_ONCE):
        differences, low[part] = _as_features(rows[part], floor)
        features[part] = differences.float()
    order = torch.arange(len(rows))
    fold = order % min(FOLDS, len(rows))
    distances = []
    for number in range(int(fold.max()) + 1):
        own = _fit_families(features, order[fold != number] if len(rows) > 1 else order, seed)
        for part in order[fold == number].split(PICTURES_AT_ONCE):
            away = _measure_distances(own, features[part].double())
            distances.append(away.amax(1))
    usual_low = torch.stack([low.mean(), low.std(correction=0).clamp_min(1e-3)])
    darkness = _weigh_darkness(low, usual_low)
    scales = [
        torch.stack([values.mean(), values.std(correction=0).clamp_min(1e-3)])
        for values in (torch.cat(distances), darkness)
    ]
    families = _fit_families(features, order, seed)
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
    families, scales = _Families(fitted["centres"], fitted["roots"]), fitted["scales"]
    values = torch.empty(len(rows), CELLS**2, dtype=torch.float64)
    for part in torch.arange(len(rows)).split(PICTURES_AT_ONCE):
        features, low = _as_features(rows[part], fitted["floor"])
        distances = (_measure_distances(families, features) - scales[0, 0]) / scales[0, 1]
        darkness = (_weigh_darkness(low, fitted["low"]) - scales[1, 0]) / scales[1, 1]
        values[part] = distances + darkness[:, None]
    return np.asarray(values.view(-1, CELLS, CELLS).numpy())


def _as_features(rows: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """`(n, features, places)` logarithms in relation to each picture's median, and `(n,)` of darkness."""
    values = rows.double().flatten(2)
    strengths = (values[:, :STRENGTHS] + floor).log()
    features = torch.cat([strengths, values[:, STRENGTHS : STRENGTHS + 1]], 1)
    return features - features.median(2, keepdim=True).values, values[:, -1, 0]


def _weigh_darkness(low: Tensor, usual: Tensor) -> Tensor:
    deviation = (usual[0] - low) / usual[1]
    return torch.where(deviation > 0, deviation, -BRIGHT_WEIGHT * deviation)


def _fit_families(features: Tensor, chosen: Tensor, seed: int) -> _Families:
    """Families of the chosen pictures."""
    members = _divide(features, chosen, seed)
    counts = torch.tensor([len(own) for own in members], dtype=torch.float64)
    sums = torch.stack([_sum_parts(features, own) for own in members])
    everywhere = sums.sum(0) / len(chosen)
    centres = (sums + PRIOR_CENTRE * everywhere) / (counts.view(-1, 1, 1) + PRIOR_CENTRE)
    products = torch.stack(
        [_sum_products(features, own, centre) for own, centre in zip(members, centres, strict=True)]
    )
    shared = products.sum(0) / len(chosen)
    roots = []
    for count, product in zip(counts, products, strict=True):
        weight = count / (count + PRIOR_SPREAD)
        own = weight * product / count + (1 - weight) * shared
        mean = own.mean(0)
        share = max(NEIGHBOUR_SHARE, PRIOR_PLACES / (PRIOR_PLACES + len(chosen)))
        least = 1e-3 * (mean.trace() / FEATURES).clamp_min(1e-6) * torch.eye(FEATURES, dtype=torch.float64)
        roots.append(torch.linalg.inv(torch.linalg.cholesky((1 - share) * own + share * mean + least)))
    return _Families(centres, torch.stack(roots))


def _divide(features: Tensor, chosen: Tensor, seed: int) -> list[Tensor]:
    """The pictures of each family."""
    count = max(1, min(MAX_FAMILIES, len(chosen) // PICTURES_PER_FAMILY))
    if count == 1:
        return [chosen]
    from sklearn.cluster import KMeans

    some = chosen[:: -(-len(chosen) // MAX_CLUSTERED)]
    means = KMeans(count, n_init=2, random_state=seed).fit(features[some].flatten(1).numpy())
    parts = [means.predict(features[part].flatten(1).numpy()) for part in chosen.split(PICTURES_AT_ONCE)]
    family = torch.from_numpy(np.concatenate(parts).astype(np.int64))
    return [chosen[family == number] for number in family.unique()]


def _sum_parts(features: Tensor, chosen: Tensor) -> Tensor:
    """The sum `(features, places)` over the chosen pictures."""
    parts = chosen.split(PICTURES_AT_ONCE)
    return torch.stack([features[part].sum(0, dtype=torch.float64) for part in parts]).sum(0)


def _sum_products(features: Tensor, chosen: Tensor, centre: Tensor) -> Tensor:
    """The sum of products of differences from a centre over the chosen pictures, `(places, f, f)`."""
    summed = torch.zeros(CELLS**2, FEATURES, FEATURES, dtype=torch.float64)
    for part in chosen.split(PICTURES_AT_ONCE):
        away = features[part].double() - centre
        summed += torch.einsum("ncp,ndp->pcd", away, away)
    return summed


def _measure_distances(families: _Families, features: Tensor) -> Tensor:
    """`(n, places)`: logarithms of squared distances from the nearest family, by its Gaussian."""
    nearest = torch.cdist(features.flatten(1), families.centres.flatten(1)).argmin(1)
    squared = torch.empty(len(features), CELLS**2, dtype=torch.float64)
    for number in nearest.unique().tolist():  # not a root for each picture, which takes 65 kB
        own = nearest == number
        away = features[own] - families.centres[number]
        squared[own] = torch.einsum("pcd,ndp->npc", families.roots[number], away).square().sum(2)
    return squared.clamp_min(1e-6).log()


STRUCTURE_RULES = {
    "centres": Rule("families", FEATURES, CELLS**2),
    "roots": Rule("families", CELLS**2, FEATURES, FEATURES),
    "floor": Rule(1, low=1e-18),
    "low": Rule(2),
    "scales": Rule(2, 2),
}
