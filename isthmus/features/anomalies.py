"""How unusual an image is for a model and a set of normal images, and where in it.

Scores, higher = more unusual:

- `reconstruction`: mean squared error of what the model makes of the image.
- `density`: a Gaussian of the normal images' features: squared distance from their mean inside their
  principal subspace, in deviations, and squared distance from that subspace, each over what is usual for it
  (Moghaddam and Pentland 1997, "Probabilistic visual learning for object representation").
- `mixture`: the same with a mixture of Gaussians inside the subspace.
- `neighbour`: mean distance to the nearest normal features (Ramaswamy et al. 2000).
- `local`: mean distance of each part's features to the nearest ones that normal images have at that place
  (after Roth et al. 2022, "Towards total recall in industrial anomaly detection", without their network).

A score becomes a decision by a false-alarm rate on normal images that the score was not fitted to.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError, ModelFileError, UsageError
from isthmus.features.neighbourhood import nearest
from isthmus.features.readout import FeatureExtractor, attach_extractor, extract_local, iter_pooled
from isthmus.images.batches import iter_batches
from isthmus.images.split import hold_out
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors, number, whole_number
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Autoencoder
from isthmus.wording import choose_word, format_count

NAME = "anomalies"
Scores = npt.NDArray[np.float64]
Kind = Literal["reconstruction", "density", "mixture", "neighbour", "local"]

CALIBRATION_SHARE = 0.2
MAX_NORMAL_IMAGES = 20_000
MAX_PARTS_PER_PLACE = 20_000  # parts of normal images that are remembered per place
NEIGHBOURS = 3
COMPONENTS, MAX_COMPONENTS = 64, 10
POOL_SIDE = 3  # per side, in which a `filters` model's answers are pooled


@dataclass(frozen=True)
class Detector:
    """A score with what was fitted to normal images, and where normal ends.

    Attributes:
        kind: which score.
        tensors: what it was fitted to.
        calibration: `(n,)` ascending scores of normal images that were held out of the fit.
        false_alarms: share of normal images that may be called unusual.
        normal_images: how many it was fitted to.
    """

    kind: Kind
    tensors: dict[str, Tensor]
    calibration: Scores
    false_alarms: float
    normal_images: int

    @property
    def threshold(self) -> float:
        """The score above which an image is called unusual.

        The order statistic of conformal prediction (Vovk et al. 2005; Bates et al. 2023): the chance that
        a new normal image lies above it is at most `false_alarms`. Infinite where the held-out images are too
        few to say so.
        """
        count = len(self.calibration)
        rank = int(np.ceil((1 - self.false_alarms) * (count + 1)))
        return float(self.calibration[rank - 1]) if 1 <= rank <= count else float("inf")

    @property
    def least_false_alarms(self) -> float:
        """The smallest rate at which the held-out images are enough for a finite threshold."""
        return 1 / (len(self.calibration) + 1)

    def with_rate(self, false_alarms: float) -> Detector:
        """The same score with another threshold.

        Raises:
            UsageError: a rate outside (0, 1).
        """
        _check_rate(false_alarms)
        return dataclasses.replace(self, false_alarms=false_alarms)

    def p_value(self, scores: Scores) -> Scores:
        """How likely a normal image would score at least as high, from the held-out ones: in (0, 1]."""
        above = len(self.calibration) - np.searchsorted(self.calibration, scores, side="left")
        return np.asarray((above + 1) / (len(self.calibration) + 1))


def fit_detector(
    model: Autoencoder,
    readout: FeatureExtractor,
    normal: ImageSet,
    kind: Kind,
    *,
    false_alarms: float,
    seed: int = 0,
) -> Detector:
    """Fit a score to four fifths of the normal images, and calibrate it on the rest.

    Raises:
        UsageError: an unknown score, or a rate outside (0, 1).
        DataError: fewer than ten normal images.
    """
    if kind not in get_args(Kind):
        raise UsageError(
            "score '{name}' is not known; known: {known}",
            id="anomalies.unknown-score",
            name=kind,
            known=", ".join(get_args(Kind)),
        )
    _check_rate(false_alarms)
    if len(normal) < 10:
        raise DataError(
            "{images} {verb} too little: at least 10 are needed",
            id="anomalies.too-few-images",
            images=format_count(len(normal), "normal image"),
            verb=choose_word(len(normal), "says", "say"),
        )
    some = np.sort(np.random.default_rng(seed).permutation(len(normal))[:MAX_NORMAL_IMAGES])
    normal = normal.subset(some)
    part, held = hold_out(normal, CALIBRATION_SHARE, limit=10_000, seed=seed)
    if len(held) == 0:
        raise DataError(
            "{source}: its {images} are all the same picture; at least 2 different ones are needed",
            id="anomalies.same-images",
            source=normal.source,
            images=format_count(len(normal), "normal image"),
        )
    tensors = _FITS[kind](model, readout, normal.subset(part), seed)
    blank = Detector(kind, tensors, np.empty(0), false_alarms, len(part))
    return dataclasses.replace(blank, calibration=np.sort(score(model, readout, blank, normal.subset(held))))


def _check_rate(false_alarms: float) -> None:
    if not 0 < false_alarms < 1:
        raise UsageError(
            "the false-alarm rate lies between 0 and 1, not at {false_alarms}",
            id="anomalies.false-alarms",
            false_alarms=false_alarms,
        )


def score(model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet) -> Scores:
    """`(N,)` scores of images, higher = more unusual."""
    return np.asarray(_SCORES[detector.kind](model, readout, detector, images), dtype=np.float64)


def score_maps(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> list[Scores]:
    """Where each image is unusual: one `(H, W)` map per image, of its own size.

    The score `local` shows its own parts; the others say nothing about places and show the squared error of
    the reconstruction, smoothed over about an eighth of the image.
    """
    if detector.kind == "local":
        return _map_local(model, readout, detector, images)
    maps = []
    with torch.no_grad():
        for batch in iter_batches(images, batch=64):
            error = (model.reconstruct_batch(batch.images) - batch.images).square().mean(1, keepdim=True)
            maps += [error_map.numpy().astype(np.float64) for error_map in _smooth(error)[:, 0]]
    return maps


def store_detector(model: Autoencoder, detector: Detector, readout: FeatureExtractor) -> None:
    """Attach a detector, and the readout it goes with, to a model in memory; `model.save` writes them."""
    attach_extractor(model, readout)
    facts = {
        "kind": detector.kind,
        "false_alarms": detector.false_alarms,
        "normal_images": detector.normal_images,
    }
    attach(model, NAME, {**detector.tensors, "calibration": torch.from_numpy(detector.calibration)}, facts)


def read_detector(model: Autoencoder) -> Detector | None:
    """The detector in a model, or None.

    Raises:
        ModelFileError: the attachment is damaged.
    """
    attachment = model.attachments.get(NAME)
    if attachment is None:
        return None
    tensors = dict(attachment.tensors)
    try:
        calibration = tensors.pop("calibration").numpy().astype(np.float64)
        facts: dict[str, Any] = dict(attachment.facts)
        kind = facts["kind"]
        if not isinstance(kind, str) or kind not in _RULES:
            raise ValueError("its score is not known")
        check_tensors(attachment.tensors, {**_RULES[kind], "calibration": Rule("n")})
        if (np.diff(calibration) < 0).any():
            raise ValueError("its calibration does not rise")
        return Detector(
            kind,  # type: ignore[arg-type]
            tensors,
            calibration,
            number(facts, "false_alarms", 1e-12, 1 - 1e-12),
            whole_number(facts, "normal_images", 0, 2**53),
        )
    except DAMAGE as error:
        why = " ".join(str(error).split())[:200]
        raise ModelFileError(
            "this model's anomaly detector is damaged: {reason}", id="anomalies.detector-damaged", reason=why
        ) from error


def _check_width(width: int, expected: int) -> None:
    if width != expected:
        raise ModelFileError(
            "the anomaly detector is for {expected} numbers an image, and the model gives {given}",
            id="anomalies.other-model",
            expected=expected,
            given=width,
        )


# ---------------------------------------------------------------- the scores: how each is fitted, and given


def _fit_nothing(
    _model: Autoencoder, _readout: FeatureExtractor, _normal: ImageSet, _seed: int
) -> dict[str, Tensor]:
    return {}


def _score_reconstruction(
    model: Autoencoder, _readout: FeatureExtractor, _detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    with torch.no_grad():
        parts = [
            (model.reconstruct_batch(batch.images) - batch.images).square().mean((1, 2, 3)).numpy()
            for batch in iter_batches(images, batch=64)
        ]
    return np.concatenate(parts)


def _pool_set(model: Autoencoder, readout: FeatureExtractor, images: ImageSet) -> Tensor:
    """`(N, D)` pooled features as they are: dividing by deviations would raise what normal images lack."""
    reading = readout.reading
    if reading.layer == model.recipe.backbone.dense_layer:
        reading = dataclasses.replace(reading, pool=(POOL_SIDE,))
    return torch.cat(list(iter_pooled(model, images, reading)))


def _fit_density(
    model: Autoencoder, readout: FeatureExtractor, normal: ImageSet, seed: int
) -> dict[str, Tensor]:
    rows = _pool_set(model, readout, normal)
    count = max(1, min(COMPONENTS, len(rows) // 4, rows.shape[1] - 1))
    subspace = principal_subspace([rows], count, seed=seed)
    inside = subspace.encode(rows)
    outside = (rows - subspace.mean).square().sum(1) - inside.square().sum(1)
    return {
        "mean": subspace.mean,
        "basis": subspace.basis,
        "spread": inside.std(0, unbiased=False).clamp_min(1e-6),
        "outside": outside.mean().clamp_min(1e-9).reshape(1),
    }


def _inside_outside(rows: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """`(n, k)` components in deviations, and `(n,)` squared distances from the subspace over their mean."""
    _check_width(rows.shape[1], len(tensors["mean"]))
    centred = rows - tensors["mean"]
    inside = centred @ tensors["basis"].T
    outside = (centred.square().sum(1) - inside.square().sum(1)).clamp_min(0)
    return inside / tensors["spread"], outside / tensors["outside"]


def _score_density(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    inside, outside = _inside_outside(_pool_set(model, readout, images), detector.tensors)
    return np.asarray((inside.square().mean(1) + outside).numpy())


def _fit_mixture(
    model: Autoencoder, readout: FeatureExtractor, normal: ImageSet, seed: int
) -> dict[str, Tensor]:
    from sklearn.mixture import GaussianMixture

    tensors = _fit_density(model, readout, normal, seed)
    inside = _inside_outside(_pool_set(model, readout, normal), tensors)[0].numpy().astype(np.float64)
    count = max(1, min(MAX_COMPONENTS, len(inside) // 100))
    fitted = GaussianMixture(count, covariance_type="full", reg_covar=1e-2, random_state=seed).fit(inside)
    return tensors | {
        "weights": torch.from_numpy(fitted.weights_).float(),
        "means": torch.from_numpy(fitted.means_).float(),
        "roots": torch.from_numpy(fitted.precisions_cholesky_).float(),
    }


def _score_mixture(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    tensors = detector.tensors
    inside, outside = _inside_outside(_pool_set(model, readout, images), tensors)
    away = torch.einsum("nkd,kde->nke", inside[:, None] - tensors["means"], tensors["roots"])
    log_root = tensors["roots"].diagonal(dim1=1, dim2=2).log().sum(1)
    log_density = torch.logsumexp(tensors["weights"].log() + log_root - away.square().sum(2) / 2, 1)
    return np.asarray((outside - 2 * log_density / inside.shape[1]).numpy())


def _fit_neighbour(
    model: Autoencoder, readout: FeatureExtractor, normal: ImageSet, _seed: int
) -> dict[str, Tensor]:
    return {"normal": _pool_set(model, readout, normal).half()}


def _score_neighbour(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    reference = detector.tensors["normal"].float().numpy()
    vectors = _pool_set(model, readout, images).numpy()
    _check_width(vectors.shape[1], reference.shape[1])
    distances, _ = nearest(vectors, reference, min(NEIGHBOURS, len(reference)))
    return np.asarray(distances.mean(1))


def _fit_local(
    model: Autoencoder, readout: FeatureExtractor, normal: ImageSet, seed: int
) -> dict[str, Tensor]:
    parts = extract_local(model, readout, normal)
    places = parts.shape[1]
    count = max(1, min(len(normal), MAX_PARTS_PER_PLACE * 16 // places))
    rows = np.sort(np.random.default_rng(seed).permutation(len(normal))[:count])
    return {"parts": torch.from_numpy(parts[rows]).half()}


def _local_distances(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    """`(N, places)`: distance of each part to the nearest normal ones at the same place."""
    parts = extract_local(model, readout, images)
    reference = detector.tensors["parts"].float().numpy()
    _check_width(math.prod(parts.shape[1:]), math.prod(reference.shape[1:]))
    _check_width(parts.shape[2], reference.shape[2])
    means = np.empty(parts.shape[:2])
    for place in range(parts.shape[1]):
        distances, _ = nearest(parts[:, place], reference[:, place], min(NEIGHBOURS, len(reference)))
        means[:, place] = distances.mean(1)
    return means


def _score_local(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> npt.NDArray[Any]:
    return np.asarray(_local_distances(model, readout, detector, images).mean(1))


def _map_local(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> list[Scores]:
    distances = torch.from_numpy(_local_distances(model, readout, detector, images)).float()
    side = round(distances.shape[1] ** 0.5)
    maps = []
    for index, row in enumerate(distances):
        height, width, _ = images.image(index).shape
        shown = F.interpolate(
            row.view(1, 1, side, side), (height, width), mode="bilinear", align_corners=False
        )
        maps.append(shown[0, 0].numpy().astype(np.float64))
    return maps


def _smooth(maps: Tensor) -> Tensor:
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
# What each score was fitted to, as it stands in a model file.
_RULES: dict[str, dict[str, Rule]] = {
    "reconstruction": {},
    "density": _DENSITY_RULES,
    "mixture": {
        **_DENSITY_RULES,
        "weights": Rule("K", low=0, high=1),
        "means": Rule("K", "k"),
        "roots": Rule("K", "k", "k"),
    },
    "neighbour": {"normal": Rule("N", "D")},
    "local": {"parts": Rule("N", "places", "K")},
}
_FITS: dict[str, Callable[[Autoencoder, FeatureExtractor, ImageSet, int], dict[str, Tensor]]] = {
    "reconstruction": _fit_nothing,
    "density": _fit_density,
    "mixture": _fit_mixture,
    "neighbour": _fit_neighbour,
    "local": _fit_local,
}
_SCORES: dict[str, Callable[[Autoencoder, FeatureExtractor, Detector, ImageSet], npt.NDArray[Any]]] = {
    "reconstruction": _score_reconstruction,
    "density": _score_density,
    "mixture": _score_mixture,
    "neighbour": _score_neighbour,
    "local": _score_local,
}
