"""004: ten numbers, three ways downhill, and pictures changed by arithmetic on codes."""

from __future__ import annotations

import numpy as np
from data import mnist
from study import Study

import isthmus
from isthmus.reports.charts import draw_curves
from isthmus.reports.image_sheets import draw_image_rows

EPOCHS = 100
TRIED = {"sgd": (0.3, 3.0, 30.0), "gd": (1.0, 10.0, 100.0)}
COLUMNS = 10


def run(study: Study) -> None:
    data, test = mnist()
    recipe = isthmus.recipe("article-004")

    def trained(name: str, settings: list[str], epochs: float) -> isthmus.Autoencoder:
        chosen_recipe = recipe.with_settings(settings)
        return study.model(name, data, test, chosen_recipe, precision="float32", history=True, epochs=epochs)

    trained("article-004", [], EPOCHS)
    for kind, rates in TRIED.items():
        trials = {}
        for rate in rates:
            name, passes = f"{kind} rate {rate:g}", 2 if kind == "sgd" else EPOCHS
            trained(name, _descent(kind, rate), passes)
            trials[rate] = study.cells[name]["best"]["validation"]
        # The rate is chosen on held-out training images; the test images have no say.
        best = min(trials, key=lambda rate: trials[rate])
        trained(kind, _descent(kind, best), EPOCHS if kind == "sgd" else 5 * EPOCHS)
    trained("linear code", ["bottleneck.rectified=false"], EPOCHS)
    model = trained("article-004", [], EPOCHS)
    series = {
        "Adam": study.cells["article-004"]["history"],
        "stochastic gradient descent": study.cells["sgd"]["history"],
        "full-batch gradient descent": study.cells["gd"]["history"],
    }
    page = {name: [(x, y) for x, y in points] for name, points in series.items()}
    study.picture(
        "article-004-descent.png",
        draw_curves(
            page, x_label="passes over the training images", y_label="squared error, held-out", log=True
        ),
    )
    transform(study, model)


def _descent(kind: str, rate: float) -> list[str]:
    return [f"optimiser.name={kind}", f"optimiser.rate={rate}", "optimiser.momentum=0"]


def transform(study: Study, model: isthmus.Autoencoder) -> None:
    """Interpolate, average and move: arithmetic on codes between the encoder and the decoder."""
    test = isthmus.read("mnist:test")
    assert test.labels is not None
    images, labels = test.stack(range(2000)), test.labels[:2000]
    code = model.encode(images)
    z = np.asarray(code)
    first, last = int(np.flatnonzero(labels == 3)[0]), int(np.flatnonzero(labels == 8)[0])
    steps = np.linspace(0, 1, COLUMNS, dtype=np.float32)[:, None]
    between = (1 - steps) * z[first] + steps * z[last]
    blended = (1 - steps[..., None, None]) * images[first] + steps[..., None, None] * images[last]
    means = np.stack([z[labels == digit].mean(0) for digit in range(10)])
    sevens = np.flatnonzero(labels == 7)[:COLUMNS]
    moved = z[sevens] + (means[9] - means[7])
    rows = [
        ("between two codes", model.decode(code.with_values(between))),
        ("between two images, for comparison", blended.astype(np.uint8)),
        ("the average code of each digit", model.decode(code.with_values(means))),
        ("sevens …", images[sevens]),
        ("… moved from the average seven to the average nine", model.decode(code.with_values(moved))),
    ]
    study.picture("article-004.png", draw_image_rows(rows, columns=COLUMNS))
