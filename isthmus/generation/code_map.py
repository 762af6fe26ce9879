"""The codes of many images, laid out in two dimensions.

PCA, or t-SNE (van der Maaten and Hinton 2008) by scikit-learn on the first principal components.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.generation.codes import encode_images
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited

COMPONENTS = 50
ENCODING_SHARE = 0.2  # of the work
MIN_IMAGES = 3


@dataclass(frozen=True, eq=False)
class CodeLayout:
    """Where each image lies.

    Attributes:
        points: `(N, 2)` in [0, 1], up is up.
        explained: share of variance that PCA's two axes hold; None for t-SNE.
    """

    points: npt.NDArray[np.float32]
    explained: float | None


@limited()
def lay_out_codes(
    model: Autoencoder,
    images: ImageSet,
    *,
    neighbours: bool = True,
    seed: int = 0,
    stop: Interruption | None = None,
    report: Callable[[float], None] = lambda _: None,
) -> CodeLayout:
    """Lay out the codes of images in two dimensions.

    Args:
        neighbours: t-SNE, which keeps neighbours together, instead of PCA, which keeps directions.
        stop: catches Ctrl-C in t-SNE, which is the long part: then the layout is that of PCA.
        report: called with the share of the work that is done, at its end excepted.

    Raises:
        DataError: fewer than `MIN_IMAGES` images.
    """
    if len(images) < MIN_IMAGES:
        raise DataError("a map needs at least {least} images", id="map.too-few-images", least=MIN_IMAGES)
    codes = encode_images(model, images).flatten(1)
    space = principal_subspace(
        torch.split(codes, 4096), min(COMPONENTS, codes.shape[1], len(codes)), seed=seed
    )
    rows = space.encode(codes).numpy()
    report(ENCODING_SHARE)
    flat = None
    alike = float(np.abs(rows).max()) <= 1e-6 * float(codes.abs().max())  # t-SNE divides by their variance
    if neighbours and rows.shape[1] >= 2 and not alike:
        with stop or nullcontext():
            from sklearn.manifold import TSNE

            perplexity = min(30.0, (len(rows) - 1) / 3)
            flat = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows)
    explained = None
    if flat is None:
        flat = np.pad(rows, ((0, 0), (0, max(0, 2 - rows.shape[1]))))[:, :2]
        total = float((codes - codes.mean(0)).square().sum())
        explained = float(np.square(rows[:, :2]).sum() / total) if total > 0 else 1.0
    low, high = flat.min(0), flat.max(0)
    points = ((flat - low) / np.maximum(high - low, 1e-9)).astype(np.float32)
    return CodeLayout(points, explained)
