"""Detectors of one kind of score, with a network that has learned nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isthmus.features.anomalies import Detector
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.detector_calibration import fit_to_pictures, make_plan
from isthmus.features.normal_rows import NormalRows
from isthmus.features.picture_maps import Part
from isthmus.features.pictures import Picture
from isthmus.features.readout import FeatureExtractor, fit_extractor
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import resolve_recipe

Pixels = npt.NDArray[np.float32]
Fitted = tuple[Autoencoder, FeatureExtractor, Detector]


def fit_untrained(kind: Kind, normal: Sequence[Pixels]) -> Fitted:
    """A detector that flags a twentieth of pictures like these, `(h, w, C)` of any sizes."""
    channels = normal[0].shape[2]
    model = build(resolve_recipe("conv", "4"), channels=channels, size=(16, 16))
    images = ImageSet(np.random.default_rng(0).random((8, 16, 16, channels), np.float32), tuple("abcdefgh"))
    extractor = fit_extractor(model, images)
    rows = NormalRows(model, extractor, [Picture(pixels) for pixels in normal])
    plan = make_plan([str(number) for number in range(len(normal))], seed=0)
    detector = fit_to_pictures(rows, [Part(kind, 0, "max", {})], plan, false_alarms=0.05, seed=0)
    return model, extractor, detector
