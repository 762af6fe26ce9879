"""The losses of a training as arrays, and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SIZE_INCHES = (7.2, 3.2)
# The first player's loss, by the names that players have: an autoencoder, or the encoder of a game of three.
_TRAIN_KEYS = ("train_autoencoder", "train_encoder")


@dataclass(frozen=True)
class TrainingHistory:
    """One row per validation.

    Attributes:
        steps: `(n,)` int64, steps taken.
        train: `(n,)` float64, the mean training loss since the row before; NaN where none is kept (a private
            training).
        validation: `(n,)` float64, the loss on held-out images; NaN where none are held out.
        terms: every column, `(n,)` float64, by its stored name, such as `train_mse` and `validation_mse`:
            terms before their weights.
    """

    steps: npt.NDArray[np.int64]
    train: npt.NDArray[np.float64]
    validation: npt.NDArray[np.float64]
    terms: Mapping[str, npt.NDArray[np.float64]]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, float]]) -> TrainingHistory:
        """From the `history` of a model's summary."""
        names = sorted({name for row in rows for name in row} - {"step"})
        terms = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
        missing = np.full(len(rows), np.nan)
        train = next((terms[key] for key in _TRAIN_KEYS if key in terms), missing)
        steps = np.array([row["step"] for row in rows], np.int64)
        return cls(steps, train, terms.get("validation", missing), terms)

    def __len__(self) -> int:
        return len(self.steps)

    def plot(self) -> Figure:
        """Training and validation loss over the steps, as a matplotlib figure that no window shows by itself.

        Examples:
            `model.history.plot().savefig("losses.png")`
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=FIGURE_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        for name, values in (("training", self.train), ("validation", self.validation)):
            is_finite = np.isfinite(values)
            if is_finite.any():
                axes.plot(self.steps[is_finite], values[is_finite], label=name, marker="o", markersize=3)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        if axes.lines:
            axes.legend()
        return figure
