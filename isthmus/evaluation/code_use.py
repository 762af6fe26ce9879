"""What a bottleneck spends and how its units are used, gathered over a set of images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.metrics.codes import CodeStatistics, code_statistics
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Trace

MAX_ROWS = 20_000


class CodeUse:
    """Gathers code numbers; a unit is a number of a vector code, or a channel of a grid code.

    Args:
        model: whose codes they are.
        images: how many there will be, so that rows kept of grid codes are spread over all of them.
    """

    def __init__(self, model: Autoencoder, images: int) -> None:
        self.model, self.images = model, images
        self._rows: list[Tensor] = []
        self._live: Tensor | None = None
        self._every = 0
        self._nonzero = 0
        self._count = 0
        self._scores: dict[str, float] = {}

    @torch.no_grad()
    def add(self, trace: Trace, pixels: int) -> None:
        """One pass with deterministic codes.

        Args:
            pixels: height times width of one image as the user gave it.
        """
        values = trace.code.values.detach()
        count = len(values)
        rows = values.flatten(2).movedim(1, 2).flatten(0, 1) if values.ndim > 2 else values  # (n, units)
        self._every = self._every or max(1, self.images * (len(rows) // count) // MAX_ROWS)
        self._rows.append(rows[:: self._every].float().cpu())
        nonzero = rows != 0
        self._nonzero += int(nonzero.sum())
        live = nonzero.any(0).cpu()
        self._live = live if self._live is None else self._live | live
        self._count += count
        bottleneck, facts = self.model.bottleneck, self.model.recipe.bottleneck
        if facts.is_stochastic:
            self._add("kl", bottleneck.kl_per_unit(trace.code).sum())
        if facts.has_rate:
            nats = bottleneck.rate(trace.code).sum()
            self._add("rate_nats", nats)
            self._add("rate_bpp", nats / (math.log(2) * pixels))

    def metrics(self) -> dict[str, float]:
        """What the bottleneck itself is judged by: means per image, and counts of units.

        - `kl`: nats from the standard normal; `active_units`: of a gaussian code, those whose mean has a
          variance above 0.01 over images (Burda et al. 2016).
        - `nonzero`, `dead_units`: of a sparse code, numbers that are not 0 per image, and units that are 0
          for every image.
        - `rate_nats`, `rate_bpp`: of an entropy-coded one, as estimated in training.
        """
        metrics = {name: value / self._count for name, value in self._scores.items()}
        if self.model.recipe.bottleneck.is_stochastic:
            metrics["active_units"] = self.statistics().active_units
        if self.model.recipe.bottleneck.is_sparse:
            assert self._live is not None
            metrics["nonzero"] = self._nonzero / self._count
            metrics["dead_units"] = int((~self._live).sum())
        return metrics

    def statistics(self) -> CodeStatistics:
        """Of at most about 20,000 rows, one per image, or one per position of a grid."""
        return code_statistics(torch.cat(self._rows))

    def variances(self) -> Tensor:
        """`(units,)`: of each unit over the rows."""
        return torch.cat(self._rows).var(0, correction=0)

    def _add(self, name: str, value: Tensor) -> None:
        self._scores[name] = self._scores.get(name, 0.0) + float(value)
