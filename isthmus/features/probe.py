"""A linear probe: multinomial logistic regression on features, its strength of regularisation held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError
from isthmus.wording import format_count

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

DECAYS = (3e-2, 6e-3, 1e-3)  # penalty λ/2·‖W‖² beside the mean loss of images
SHARE = 0.1
ITERATIONS, SEARCH = 60, 25


@dataclass(frozen=True)
class Probe:
    """`weight (classes, D)`, `bias (classes,)`, and the penalty it was fitted with."""

    weight: Vectors
    bias: Vectors
    decay: float

    def scores(self, features: Vectors) -> Vectors:
        """`(n, classes)` log-odds, up to a constant per row."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float32)

    def predict(self, features: Vectors) -> Labels:
        """The likeliest class of each row."""
        return np.asarray(self.scores(features).argmax(1), dtype=np.int64)


def fit_probe(
    features: Vectors,
    labels: Labels,
    *,
    classes: int,
    decays: Sequence[float] = DECAYS,
    seed: int = 0,
    iterations: int = ITERATIONS,
) -> Probe:
    """Multinomial logistic regression by L-BFGS (Liu and Nocedal 1989).

    Of several `decays` the one is taken that is best on a tenth of the rows that is held out (the largest of
    equals), then all rows are fitted from there on.

    Args:
        features: `(n, D)` float32, standardised.
        labels: `(n,)` in 0 … classes − 1.

    Raises:
        DataError: no rows, or lengths differ.
    """
    if len(features) == 0 or len(features) != len(labels):
        raise DataError(
            "a probe needs a label for each row: {rows}, {labels}",
            id="features.probe-labels",
            rows=format_count(len(features), "row"),
            labels=format_count(len(labels), "label"),
        )
    rows, target = torch.from_numpy(np.ascontiguousarray(features)), torch.from_numpy(labels)
    best, found = decays[0], None
    held = max(1, round(SHARE * len(features)))
    if len(decays) > 1 and len(features) - held >= 2:
        out = torch.from_numpy(np.random.default_rng(seed).permutation(len(features))[:held].copy())
        weight = torch.ones(len(features))
        weight[out] = 0  # left out by weight: a copy of the rest would double the memory
        most, last = -1.0, None
        for decay in sorted(decays, reverse=True):
            last = _fit(rows, target, weight, classes, decay, SEARCH, last)
            right = float((last.predict(features[out.numpy()]) == labels[out.numpy()]).mean())
            if right > most:
                most, best, found = right, decay, last
    return _fit(rows, target, torch.ones(len(features)), classes, best, iterations, found)


def _fit(
    rows: Tensor, target: Tensor, share: Tensor, classes: int, decay: float, steps: int, start: Probe | None
) -> Probe:
    weight = torch.zeros(classes, rows.shape[1]) if start is None else torch.from_numpy(start.weight.copy())
    bias = torch.zeros(classes) if start is None else torch.from_numpy(start.bias.copy())
    weight.requires_grad_()
    bias.requires_grad_()
    share = share / share.sum()
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=steps,
        history_size=10,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        each = F.cross_entropy(rows @ weight.T + bias, target, reduction="none")
        value = (each * share).sum() + decay / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return Probe(weight.detach().numpy(), bias.detach().numpy(), decay)


def confusion(truth: Labels, found: Labels, classes: int) -> npt.NDArray[np.int64]:
    """`(classes, classes)` counts: row = true class, column = predicted class."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth, found), 1)
    return table
