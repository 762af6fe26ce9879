"""Whether a map shows what the unit really uses: take pixels away in its order, and see how fast it forgets.

Deletion and insertion (Petsiuk, Das and Saenko 2018, section 3.2), for one unit instead of a class: its
value, as a share of the way from the base image (0) to the image (1). The score is the area between the curve
of the map's order and that of random orders, positive where the map is better; 0 is a map that knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.features.explain.units import unit_values
from isthmus.model.autoencoder import Autoencoder

CURVE_STEPS = 16
RANDOM_ORDERS = 4

MapFunction = Callable[[Autoencoder, Tensor, Tensor, Sequence[int]], Tensor]


@dataclass(frozen=True)
class Curves:
    """One unit of one image.

    Attributes:
        deletion, insertion: the unit's share, `(17,)`, as pixels go or come in the map's order.
        random_deletion, random_insertion: the same, mean of random orders.
    """

    deletion: Tensor
    insertion: Tensor
    random_deletion: Tensor
    random_insertion: Tensor

    @property
    def scores(self) -> tuple[float, float]:
        """Areas gained over random orders: (deletion, insertion)."""
        return (
            float((self.random_deletion - self.deletion).mean()),
            float((self.insertion - self.random_insertion).mean()),
        )


@torch.no_grad()
def measure_faithfulness(
    model: Autoencoder,
    image: Tensor,
    base: Tensor,
    maps: Tensor,
    units: Sequence[int],
    *,
    generator: torch.Generator,
) -> list[Curves]:
    """Curves of each unit whose value the image changes at all.

    Args:
        image, base: `(C, H, W)`; maps: `(len(units), H, W)`, signed as in `maps`.
    """
    count = image.shape[-2] * image.shape[-1]
    ends = unit_values(model, torch.stack([base, image]))
    orders = [torch.randperm(count, generator=generator) for _ in range(RANDOM_ORDERS)]
    random_curves = [_replace_in_order(model, image, base, order) for order in orders]
    curves = []
    for unit, unit_map in zip(units, maps, strict=True):
        low, high = ends[0, unit], ends[1, unit]
        if (high - low).abs() < 1e-6:
            continue
        towards = unit_map if high > low else -unit_map
        order = torch.argsort(towards.flatten(), descending=True, stable=True)
        deletion, insertion = _replace_in_order(model, image, base, order)

        def share(values: Tensor, unit: int = unit, low: Tensor = low, high: Tensor = high) -> Tensor:
            # A unit may overshoot; beyond twice the way it says no more about the map.
            shares: Tensor = ((values[:, unit] - low) / (high - low)).clamp(-1, 2)
            return shares

        curves.append(
            Curves(
                share(deletion),
                share(insertion),
                torch.stack([share(d) for d, _ in random_curves]).mean(0),
                torch.stack([share(i) for _, i in random_curves]).mean(0),
            )
        )
    return curves


def _replace_in_order(
    model: Autoencoder, image: Tensor, base: Tensor, order: Tensor
) -> tuple[Tensor, Tensor]:
    """`(17, K)` twice: with more and more pixels of the image replaced, and of the base."""
    count = len(order)
    rank = torch.empty(count, dtype=torch.int64)
    rank[order] = torch.arange(count)
    cuts = torch.linspace(0, count, CURVE_STEPS + 1).round().view(-1, 1)
    chosen = (rank[None] < cuts).view(CURVE_STEPS + 1, 1, *image.shape[-2:])
    deleted, inserted = torch.where(chosen, base, image), torch.where(chosen, image, base)
    return unit_values(model, deleted), unit_values(model, inserted)
