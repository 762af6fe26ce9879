"""Which made images are worth keeping: those that the model can see, of the right class, and no copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.generation.codes import codes_of, fitted_to
from isthmus.images.batches import whole
from isthmus.images.store import ImageSet
from isthmus.metrics.neighbours import find_neighbours
from isthmus.model.autoencoder import Autoencoder

STRANGE = 0.99  # quantile of real images' reconstruction errors above which a made one is dropped
COPY = 0.1  # of the median distance between real neighbours: nearer than that is a copy
NEIGHBOURS = 5
_BATCH = 256


@dataclass(frozen=True)
class Verdict:
    """`(N,)` booleans each: what is wrong with every made image; `kept` where nothing is.

    Attributes:
        strange: the model reconstructs it worse than nearly all real images.
        copied: it lies almost on a real image.
        foreign: by code it is nearer to another class than to its own. How near a class is says the distance
            within which the same share of it lies, so that a rare class is not outvoted.
    """

    strange: Tensor
    copied: Tensor
    foreign: Tensor

    @property
    def kept(self) -> Tensor:
        return ~(self.strange | self.copied | self.foreign)


class Filter:
    """Judges made images by the real ones that they should join.

    Args:
        model: any autoencoder that generates.
        images: the real images, of one size; with labels also classes are judged.
    """

    def __init__(self, model: Autoencoder, images: ImageSet) -> None:
        self.model = model
        fitting = fitted_to(model, images)
        self.pixels = torch.cat([part.images.flatten(1) for part in whole(fitting, batch=_BATCH)])
        self.codes = codes_of(model, fitting).flatten(1)
        self.labels = None if images.labels is None else torch.from_numpy(images.labels)
        shape = (images.channels, *(fitting.shape or (0, 0, 0))[:2])
        errors = torch.cat(
            [_errors(model, part.reshape(-1, *shape)) for part in torch.split(self.pixels, _BATCH)]
        )
        self.worst = errors.quantile(STRANGE)
        between, _ = find_neighbours(self.pixels, self.pixels, skip_same_row=True)
        self.copy = COPY * between.median()

    def __call__(self, made: Tensor, labels: Tensor | None) -> Verdict:
        """Judge `made (N, C, H, W)` in [0, 1] with the labels `(N,)` that they should have."""
        strange = torch.cat([_errors(self.model, part) for part in torch.split(made, _BATCH)]) > self.worst
        distances, _ = find_neighbours(made.flatten(1), self.pixels)
        foreign = torch.zeros(len(made), dtype=torch.bool)
        if labels is not None and self.labels is not None:
            with torch.no_grad():
                codes = torch.cat([self.model.encode_batch(part) for part in torch.split(made, _BATCH)])
            foreign = self._foreign(codes.flatten(1), labels)
        return Verdict(strange, distances[:, 0] < self.copy, foreign)

    def _foreign(self, codes: Tensor, labels: Tensor) -> Tensor:
        assert self.labels is not None
        sizes = torch.bincount(self.labels)
        away = torch.full((len(codes), len(sizes)), torch.inf)
        for label in sizes.nonzero()[:, 0].tolist():
            count = max(1, round(NEIGHBOURS * int(sizes[label]) / int(sizes.max())))
            count = min(count, int(sizes[label]))
            distances, _ = find_neighbours(codes, self.codes[self.labels == label], count=count)
            away[:, label] = distances[:, -1]
        return away.argmin(1) != labels


@torch.no_grad()
def _errors(model: Autoencoder, images: Tensor) -> Tensor:
    return (model.reconstruct_batch(images) - images).square().flatten(1).mean(1)
