"""Kinds of anomaly scores: what each reads from tiles of pictures, is fitted to, and gives for every place.

Higher = more unusual:

- `reconstruction`: squared error of the tile's reconstruction, smoothed over about an eighth of it.
- `density`: a Gaussian of the normal features: squared distance from their mean inside their principal
  subspace, in deviations, and squared distance from that subspace, each over what is usual for it (Moghaddam
  and Pentland 1997, "Probabilistic visual learning for object representation").
- `mixture`: the same with a mixture of Gaussians inside the subspace.
- `neighbour`: mean distance to the nearest normal features (Ramaswamy et al. 2000).
- `local`: mean distance of each part's features to the nearest ones that normal images have at that place
  (after Roth et al. 2022, "Towards total recall in industrial anomaly detection", without their network).
- `levels`: brightness and contrast by place, without learning (`level_statistics`).
- `structure`: lines and brightness by place, and overall darkness, without learning (`structure_statistics`).
- `segmentation`: the logits of a model's defect mask, normalised by position (`position_statistics`).

All but the last three read tiles of one size: a whole picture, resized, or pieces of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.features.kind_readings import WITHOUT_NETWORK, RowKind
from isthmus.features.level_statistics import LEVEL_RULES, check_width, fit_levels, level_values
from isthmus.features.neighbourhood import nearest
from isthmus.features.position_statistics import PositionStatistics
from isthmus.features.structure_statistics import STRUCTURE_RULES, fit_structure, structure_values
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.attachment_check import Rule

Kind = Literal[
    "reconstruction", "density", "mixture", "neighbour", "local", "levels", "structure", "segmentation"
]
Values = npt.NDArray[np.float64]

MAX_PARTS_PER_PLACE = 20_000  # parts of normal images that are remembered per place
NEIGHBOURS = 3
COMPONENTS, MAX_COMPONENTS = 64, 10
# Single precision leaves about 1e-7 of a feature vector's length in a direction that normal images lack;
# a value divided by less than this share of it would be noise.
MIN_OUTSIDE_SHARE = 1e-10
MIN_SPREAD_SHARE = 1e-5


class KindOfScore(NamedTuple):
    """What one kind reads from tiles, and its functions, which take these rows.

    Attributes:
        row_kind: see `kind_readings.read_tiles`.
        fit: rows `(t, …)`, seed → the fitted tensors.
        values: the stored values, rows → `(t, g, g)` float64: the score of each place of each tile.
        rules: the tensors that `fit` gives, as they stand in a model file.
    """

    row_kind: RowKind
    fit: Callable[[Tensor, int], dict[str, Tensor]]
    values: Callable[[dict[str, Tensor], Tensor], Values]
    rules: dict[str, Rule]


# ---------------------------------------------------------------- fitting


def _fit_nothing(_rows: Tensor, _seed: int) -> dict[str, Tensor]:
    return {}


def _fit_density(rows: Tensor, seed: int) -> dict[str, Tensor]:
    count = max(1, min(COMPONENTS, len(rows) // 4, rows.shape[1] - 1))
    subspace = principal_subspace([rows], count, seed=seed)
    mean, basis = subspace.mean.double(), subspace.basis.double()
    parts = [_inside_residual(part, mean, basis) for part in rows.split(1024)]
    inside = torch.cat([part[0] for part in parts])
    outside = torch.cat([part[1] for part in parts])
    spread = inside.std(0, unbiased=False)
    least_outside = MIN_OUTSIDE_SHARE * float(rows.double().square().sum(1).mean())
    return {
        "mean": subspace.mean,
        "basis": subspace.basis,
        "spread": spread.clamp_min(max(1e-6, MIN_SPREAD_SHARE * float(spread.max()))).float(),
        "outside": outside.mean().clamp_min(max(1e-9, least_outside)).reshape(1).float(),
    }


def _fit_mixture(rows: Tensor, seed: int) -> dict[str, Tensor]:
    from sklearn.mixture import GaussianMixture

    tensors = _fit_density(rows, seed)
    inside = torch.cat([_inside_outside(part, tensors)[0] for part in rows.split(1024)]).numpy()
    count = max(1, min(MAX_COMPONENTS, len(inside) // 100))
    fitted = GaussianMixture(count, covariance_type="full", reg_covar=1e-2, random_state=seed).fit(inside)
    return tensors | {
        "weights": torch.from_numpy(fitted.weights_).float(),
        "means": torch.from_numpy(fitted.means_).float(),
        "roots": torch.from_numpy(fitted.precisions_cholesky_).float(),
    }


def _fit_neighbour(rows: Tensor, _seed: int) -> dict[str, Tensor]:
    return {"normal": rows.half()}


def _fit_local(rows: Tensor, seed: int) -> dict[str, Tensor]:
    count = max(1, min(len(rows), MAX_PARTS_PER_PLACE * 16 // rows.shape[1]))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:count])
    return {"parts": rows[torch.from_numpy(chosen)].half()}


# ---------------------------------------------------------------- scoring


def _error_values(_tensors: dict[str, Tensor], rows: Tensor) -> Values:
    return np.asarray(smooth(rows[:, None])[:, 0].double().numpy())


def _inside_residual(rows: Tensor, mean: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """`(n, k)` components and `(n,)` squared distances from the subspace, in double precision.

    The distance is that of the residual itself: |row|² − |inside|² would cancel.
    """
    centred = rows.double() - mean
    inside = centred @ basis.T
    return inside, (centred - inside @ basis).square().sum(1)


def _inside_outside(rows: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """`(n, k)` components in deviations, and `(n,)` squared distances from the subspace over their mean."""
    check_width(rows.shape[1], len(tensors["mean"]))
    inside, outside = _inside_residual(rows, tensors["mean"].double(), tensors["basis"].double())
    return inside / tensors["spread"].double(), outside / tensors["outside"].double()


def _density_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    inside, outside = _inside_outside(rows, tensors)
    return _as_places(inside.square().mean(1) + outside)


def _mixture_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    inside, outside = _inside_outside(rows, tensors)
    weights, means, roots = (tensors[name].double() for name in ("weights", "means", "roots"))
    away = torch.einsum("nkd,kde->nke", inside[:, None] - means, roots)
    log_root = roots.diagonal(dim1=1, dim2=2).log().sum(1)
    log_density = torch.logsumexp(weights.log() + log_root - away.square().sum(2) / 2, 1)
    return _as_places(outside - 2 * log_density / inside.shape[1])


def _neighbour_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    reference = tensors["normal"].float().numpy()
    check_width(rows.shape[1], reference.shape[1])
    distances, _ = nearest(rows.numpy(), reference, min(NEIGHBOURS, len(reference)))
    return np.asarray(distances.astype(np.float64).mean(1)[:, None, None])


def _local_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    reference = tensors["parts"].float().numpy()
    parts = rows.numpy()
    check_width(math.prod(parts.shape[1:]), math.prod(reference.shape[1:]))
    check_width(parts.shape[2], reference.shape[2])
    means = np.empty(parts.shape[:2])
    for place in range(parts.shape[1]):
        distances, _ = nearest(parts[:, place], reference[:, place], min(NEIGHBOURS, len(reference)))
        means[:, place] = distances.mean(1)
    side = round(parts.shape[1] ** 0.5)
    return means.reshape(len(means), side, side)


def _segmentation_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    heat = PositionStatistics.from_tensors(tensors).normalise(rows[0].numpy())
    return heat[None].astype(np.float64)


def _as_places(values: Tensor) -> Values:
    return np.asarray(values.numpy()[:, None, None], dtype=np.float64)


def smooth(maps: Tensor) -> Tensor:
    """Box means over about an eighth of the shorter side, twice, which is nearly a Gaussian."""
    width = max(1, min(maps.shape[-2:]) // 16) * 2 + 1
    for _ in range(2):
        maps = F.avg_pool2d(maps, width, 1, width // 2, count_include_pad=False)
    return maps


_DENSITY_RULES = {
    "mean": Rule("D"),
    "basis": Rule("k", "D"),
    "spread": Rule("k", low=1e-18),
    "outside": Rule(1, low=1e-18),
}
_MIXTURE_RULES = {
    **_DENSITY_RULES,
    "weights": Rule("K", low=0, high=1),
    "means": Rule("K", "k"),
    "roots": Rule("K", "k", "k"),
}
_LOCAL_RULES = {"parts": Rule("N", "places", "K")}
KINDS_OF_TILES: dict[str, KindOfScore] = {
    "reconstruction": KindOfScore("errors", _fit_nothing, _error_values, {}),
    "density": KindOfScore("pooled", _fit_density, _density_values, _DENSITY_RULES),
    "mixture": KindOfScore("pooled", _fit_mixture, _mixture_values, _MIXTURE_RULES),
    "neighbour": KindOfScore("pooled", _fit_neighbour, _neighbour_values, {"normal": Rule("N", "D")}),
    "local": KindOfScore("parts", _fit_local, _local_values, _LOCAL_RULES),
    "levels": KindOfScore("cells", fit_levels, level_values, LEVEL_RULES),
    "structure": KindOfScore("lines", fit_structure, structure_values, STRUCTURE_RULES),
}
"""All kinds but `segmentation`, by name."""
ROW_KINDS: dict[str, RowKind] = {
    "segmentation": "logits",
    **{name: kind.row_kind for name, kind in KINDS_OF_TILES.items()},
}
KINDS_WITHOUT_NETWORK = tuple(name for name, row_kind in ROW_KINDS.items() if row_kind in WITHOUT_NETWORK)
SCORE_VALUES: dict[str, Callable[[dict[str, Tensor], Tensor], Values]] = {
    "segmentation": _segmentation_values,
    **{name: kind.values for name, kind in KINDS_OF_TILES.items()},
}
"""Of every kind the function `KindOfScore.values`; of `segmentation` it gives `(1, H, W)`."""
