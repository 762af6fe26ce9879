"""Does a model reveal its training images? Membership inference by the loss, with an interval.

Whoever holds an image and the model can look at its reconstruction error: images of the training are drawn
more exactly (Yeom et al. 2018, "Privacy risk in machine learning", section 3.2; for generative models
Hilprecht et al. 2019). The area under the ROC curve is how often a training image has the smaller error of
a pair; 0.5 is chance. It means something only where both sets come from the same source.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

from isthmus.errors import DataError
from isthmus.evaluation.measure import Numbers
from isthmus.wording import format_count

LOW_RATE = 0.01
Z_95 = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Membership:
    """The attack's success.

    Attributes:
        members, others: images on either side.
        auroc: with its 95 % interval `low` to `high` (DeLong, DeLong and Clarke-Pearson 1988).
        advantage: largest difference of true and false positive rate over all thresholds.
        found_at_1_percent: share of members found at one false alarm in a hundred others.
    """

    members: int
    others: int
    auroc: float
    low: float
    high: float
    advantage: float
    found_at_1_percent: float

    @property
    def leaks(self) -> bool:
        """Whether chance is outside the interval, on the attacker's side."""
        return self.low > 0.5

    def to_dict(self) -> dict[str, float | int | bool]:
        return {**asdict(self), "leaks": self.leaks}


def measure_membership(members: Numbers, non_members: Numbers) -> Membership:
    """How well a small loss separates members from non-members.

    Args:
        members, non_members: `(n,)` and `(m,)`, losses of training images and of images not trained on.

    Raises:
        DataError: fewer than 10 on a side.
    """
    n, m = len(members), len(non_members)
    if min(n, m) < 10:
        raise DataError(
            "{images} and {others} are too few to measure membership",
            id="evaluation.privacy-too-few",
            images=format_count(n, "training image"),
            others=format_count(m, "other"),
        )
    scores = -np.concatenate([members, non_members]).astype(np.float64)
    ranks = rankdata(scores)
    # Each member's share of others that it beats, and the other way round: the structural components.
    beats = (ranks[:n] - rankdata(scores[:n])) / m
    beaten = 1 - (ranks[n:] - rankdata(scores[n:])) / n
    auroc = float(beats.mean())
    half = Z_95 * math.sqrt(beats.var(ddof=1) / n + beaten.var(ddof=1) / m)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # equal losses pass a threshold together
    true = np.concatenate([[0.0], np.cumsum(order < n)[last] / n])
    false = np.concatenate([[0.0], np.cumsum(order >= n)[last] / m])
    return Membership(
        members=n,
        others=m,
        auroc=auroc,
        low=max(0.0, auroc - half),
        high=min(1.0, auroc + half),
        advantage=float((true - false).max()),
        found_at_1_percent=float(true[false <= LOW_RATE].max()),
    )
