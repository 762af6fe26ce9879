"""Score `levels`: brightness and contrast of a picture, without a network.

Three statistics of a picture in a grid of cells are compared with those of good pictures:

- `level`: the brightness of each cell, against what good pictures have at that place.
- `profile`: the same in relation to the picture's own median, in coarse cells together (a Gaussian): an area
  that is too dark for its picture counts in pictures of any brightness.
- `contrast`: the deviation within each fine cell, in relation to the picture's own median: edges where the
  picture has none elsewhere.

Each is measured in deviations of held-out good pictures, and the highest decides: a defect shows in one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import ModelFileError
from isthmus.model.attachment_check import Rule

CELLS, LEVEL_CELLS, PROFILE_CELLS = 30, 10, 5  # per side
OFFSET_SHARE = 0.05  # of the usual brightness, which is added before a logarithm or a quotient is taken
CONTRAST_OFFSET = 0.05
SHRINKAGE = 0.1  # of covariances, at least
FOLDS = 5  # in which scores of good pictures are measured by a fit to the others
LEAST_SPREAD_SHARE = 0.1  # of the usual spread, which each place has at least
PRIOR_PICTURES = 10  # as many pictures of usual spread are added to those of each place

Values = npt.NDArray[np.float64]
Name = Literal["level", "profile", "contrast"]
NAMES: tuple[Name, ...] = ("level", "profile", "contrast")


class _Cells(NamedTuple):
    """The statistics of pictures, each `(n, C, side, side)`; sides may differ."""

    level: Tensor
    profile: Tensor
    contrast: Tensor

    def of(self, chosen: Tensor) -> _Cells:
        """Those of some pictures."""
        return _Cells(*(part[chosen] for part in self))


def fit_levels(rows: Tensor, _seed: int) -> dict[str, Tensor]:
    """The statistics of good pictures `(n, 2, C, 30, 30)`, and of their scores by fits to the others."""
    usual = rows[:, 0].double().mean().clamp_min(1e-6)
    cells = _measure_cells(rows, usual)
    fold = torch.arange(len(rows)) % min(FOLDS, len(rows))
    scores: dict[Name, list[Tensor]] = {name: [] for name in NAMES}
    for number in range(int(fold.max()) + 1):
        fitted, held_out = fold != number, fold == number
        if not fitted.any():
            fitted = held_out
        own = _fit_cells(cells.of(fitted))
        for name, maps in _deviations(own, cells.of(held_out)).items():
            scores[name].append(maps.amax((1, 2)))
    together = [torch.cat(scores[name]) for name in NAMES]
    scales = [torch.stack([values.mean(), values.std(correction=0).clamp_min(1e-3)]) for values in together]
    tensors = _fit_cells(cells) | {"scales": torch.stack(scales), "usual": usual.reshape(1)}
    return {name: tensor.float() for name, tensor in tensors.items()}


def check_width(width: int, expected: int) -> None:
    """Raises:
    ModelFileError: a detector that was fitted to other numbers than the model gives.
    """
    if width != expected:
        raise ModelFileError(
            "the anomaly detector expects {expected} numbers per image, but the model gives {given}",
            id="anomalies.other-model",
            expected=expected,
            given=width,
        )


def level_values(tensors: dict[str, Tensor], rows: Tensor) -> Values:
    """`(n, 30, 30)`: the highest of the three statistics at each place, in deviations of good scores.

    Raises:
        ModelFileError: fitted to pictures of other channels.
    """
    check_width(rows[0, 0].numel(), tensors["contrast-mean"].numel())
    fitted = {name: tensor.double() for name, tensor in tensors.items()}
    deviations = _deviations(fitted, _measure_cells(rows, fitted["usual"]))
    scales = zip(NAMES, fitted["scales"], strict=True)
    maps = [(deviations[name] - scale[0]) / scale[1] for name, scale in scales]
    return np.asarray(torch.stack(maps).amax(0).numpy())


def _measure_cells(rows: Tensor, usual: Tensor) -> _Cells:
    mean, deviation = rows.double().unbind(1)
    offset = OFFSET_SHARE * usual
    levels = (mean + offset).clamp_min(1e-9).log()
    middle = levels.flatten(2).median(2).values[..., None, None]
    coarse = (F.adaptive_avg_pool2d(mean, PROFILE_CELLS) + offset).clamp_min(1e-9).log()
    level = (F.adaptive_avg_pool2d(mean, LEVEL_CELLS) + offset).clamp_min(1e-9).log()
    contrast = (deviation / (mean + 2 * offset) + CONTRAST_OFFSET).log()
    contrast = contrast - contrast.flatten(2).median(2).values[..., None, None]
    return _Cells(level, coarse - middle, contrast)


def _fit_cells(cells: _Cells) -> dict[str, Tensor]:
    """Mean and spread at each place, and the Gaussian of profiles."""
    statistics: dict[str, Tensor] = {}
    for name, values in (("level", cells.level), ("contrast", cells.contrast)):
        variance = values.var(0, correction=0)
        weight = len(values) / (len(values) + PRIOR_PICTURES)
        variance = weight * variance + (1 - weight) * variance.mean()
        least = (LEAST_SPREAD_SHARE * variance.mean().sqrt()).clamp_min(1e-3)
        statistics |= {f"{name}-mean": values.mean(0), f"{name}-spread": variance.sqrt().maximum(least)}
    mean = cells.profile.mean(0)
    away = (cells.profile - mean).flatten(1)
    covariance = away.T @ away / len(away)
    share = max(SHRINKAGE, len(covariance) / (len(covariance) + 10 * len(away)))
    usual = (covariance.trace() / len(covariance)).clamp_min(1e-6)
    covariance = (1 - share) * covariance + share * usual * torch.eye(len(covariance), dtype=away.dtype)
    return statistics | {
        "profile-mean": mean,
        "profile-spread": covariance.diagonal().sqrt().view_as(mean),
        "profile-inverse": torch.linalg.inv(covariance).view(*mean.shape, *mean.shape),
    }


def _deviations(fitted: dict[str, Tensor], cells: _Cells) -> dict[Name, Tensor]:
    """For each statistic `(n, 30, 30)`, of which the highest value is the picture's."""
    away = cells.profile - fitted["profile-mean"]
    squared = (away * torch.tensordot(away, fitted["profile-inverse"], 3)).sum((1, 2, 3), keepdim=True)
    places = away.abs() / fitted["profile-spread"]  # the most unusual place has the whole distance
    profile = squared.clamp_min(0).sqrt() * places / places.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    level, contrast = (
        (values - fitted[f"{name}-mean"]).abs() / fitted[f"{name}-spread"]
        for name, values in (("level", cells.level), ("contrast", cells.contrast))
    )
    return {"level": _as_map(level), "profile": _as_map(profile), "contrast": _as_map(contrast)}


def _as_map(values: Tensor) -> Tensor:
    """`(n, C, side, side)` → `(n, 30, 30)`, the highest over the channels; its cells are divided evenly."""
    factor = CELLS // values.shape[2]
    return values.amax(1).repeat_interleave(factor, 1).repeat_interleave(factor, 2)


LEVEL_RULES = {
    "level-mean": Rule("C", LEVEL_CELLS, LEVEL_CELLS),
    "level-spread": Rule("C", LEVEL_CELLS, LEVEL_CELLS, low=1e-6),
    "contrast-mean": Rule("C", CELLS, CELLS),
    "contrast-spread": Rule("C", CELLS, CELLS, low=1e-6),
    "profile-mean": Rule("C", PROFILE_CELLS, PROFILE_CELLS),
    "profile-spread": Rule("C", PROFILE_CELLS, PROFILE_CELLS, low=1e-6),
    "profile-inverse": Rule("C", PROFILE_CELLS, PROFILE_CELLS, "C", PROFILE_CELLS, PROFILE_CELLS),
    "scales": Rule(len(NAMES), 2),
    "usual": Rule(1, low=1e-9),
}
