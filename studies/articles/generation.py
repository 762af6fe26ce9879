"""001: a dense autoencoder on MNIST, and what comes out when nothing real goes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from data import mnist
from study import Study

import isthmus
from isthmus.metrics.neighbours import find_neighbours
from isthmus.reports.image_sheets import draw_image_rows

Array = npt.NDArray[np.float32]
SAMPLES = 1000
COLUMNS = 10


@dataclass(frozen=True)
class FittedGaussian:
    """A normal distribution with the mean and covariance of codes `(N, d)`."""

    mean: Array
    covariance: Array
    lowest: Array

    @classmethod
    def of(cls, codes: Array) -> FittedGaussian:
        return cls(codes.mean(0), np.cov(codes, rowvar=False).astype(np.float32), codes.min(0))

    def draw(self, count: int, seed: int) -> Array:
        """`(count, d)`: draws, no number of them lower than any that a code has had."""
        random = np.random.default_rng(seed)
        draws = random.multivariate_normal(self.mean, self.covariance, count)
        return np.maximum(draws, self.lowest).astype(np.float32)

    def distance(self, codes: Array) -> Array:
        """`(N,)`: Mahalanobis distance from the mean; about √d for codes of real images.

        Units that hardly vary are left out: there, any number at all would be infinitely far off.
        """
        variances = np.diag(self.covariance)
        live = variances > 1e-3 * variances.max()
        inverse = np.linalg.inv(self.covariance[np.ix_(live, live)])
        off = (codes - self.mean)[:, live]
        return np.sqrt(np.einsum("ni,ij,nj->n", off, inverse, off)).astype(np.float32)


def realism(made: Array, real: Array) -> dict[str, float]:
    """How far made images are from unseen real ones, as many of each; in pixels, nothing learned.

    - `energy`: energy distance, 2·E‖X−Y‖ − E‖X−X'‖ − E‖Y−Y'‖ (Székely and Rizzo 2013); 0 for equal laws.
    - `two_sample`: share of images whose nearest neighbour is of their own kind (Lopez-Paz and Oquab 2017);
      ½ when the two cannot be told apart, 1 when they always can.
    """
    x, y = (torch.from_numpy(a.reshape(len(a), -1)).double() for a in (made, real))
    within = [torch.cdist(a, a).sum() / (len(a) * (len(a) - 1)) for a in (x, y)]
    both = torch.cat([x, y])
    _, nearest = find_neighbours(both, both, skip_same_row=True)
    same = (nearest[:, 0] < len(x)) == (torch.arange(len(both)) < len(x))
    return {
        "energy": float(2 * torch.cdist(x, y).mean() - within[0] - within[1]),
        "two_sample": float(same.double().mean()),
    }


def run(study: Study) -> None:
    data, test = mnist()
    recipe = isthmus.recipe("article-001")
    model = study.model("article-001", data, test, recipe, precision="float32")
    linear = recipe.with_settings(["bottleneck.rectified=false"])
    study.model("linear code", data, test, linear, precision="float32")
    random = np.random.default_rng(0)
    real = test.stack(range(0, len(test), len(test) // SAMPLES)).astype(np.float32)[:SAMPLES] / 255
    codes = np.asarray(model.encode(data.stack(range(0, len(data), 3))))
    fitted = FittedGaussian.of(codes)
    noise = random.random((SAMPLES, 28, 28, 1), dtype=np.float32)
    pictures = {
        "test images": np.asarray(model.encode(real)),
        "random images": np.asarray(model.encode(noise)),
        "random codes": random.random((SAMPLES, codes.shape[1]), dtype=np.float32),
        "fitted Gaussian": fitted.draw(SAMPLES, seed=0),
    }
    live = codes.std(0) > 0.03 * codes.std(0).max()
    study.keep("codes", {"live_units": int(live.sum())})
    for name, values in pictures.items():
        made = np.asarray(model.decode(values))
        row = {
            "distance": float(np.median(fitted.distance(values))),
            "spread": float((values.std(0)[live] / codes.std(0)[live]).mean()),
            **realism(made, real),
        }
        study.keep(name, row)
    halves = data.stack(range(SAMPLES)).astype(np.float32) / 255
    study.keep("real training images", realism(halves, real))
    rows = [
        ("random images go in …", noise),
        ("… and come out as", np.asarray(model.reconstruct(noise[:COLUMNS]))),
        (
            "random codes, uniform in [0, 1), decoded",
            np.asarray(model.decode(pictures["random codes"][:COLUMNS])),
        ),
        (
            "codes from a fitted Gaussian, decoded",
            np.asarray(model.decode(pictures["fitted Gaussian"][:COLUMNS])),
        ),
        ("unseen images …", real[::100]),
        ("… through 32 numbers", np.asarray(model.reconstruct(real[::100]))),
    ]
    study.picture("article-001.png", draw_image_rows(rows, columns=COLUMNS))
