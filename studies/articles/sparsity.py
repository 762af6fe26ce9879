"""003: strided convolutions with batch normalisation on CIFAR-10: λ·L0 and λ·L1, sparsity against error."""

from __future__ import annotations

from data import cifar10
from study import Study

import isthmus
from isthmus.reports.charts import draw_curves
from isthmus.reports.image_sheets import draw_image_rows

EPOCHS = 50
SWEPT = {"l0": (0.1, 0.3, 1.0), "l1": (0.01, 0.1)}
COLUMNS = 10


def run(study: Study) -> None:
    data, test = cifar10()
    recipe = isthmus.recipe("article-003")
    plain = recipe.with_settings(["bottleneck=plain"])
    study.model("plain", data, test, plain, epochs=EPOCHS, precision="float32")
    curves: dict[str, list[tuple[float, float]]] = {}
    for kind, weights in SWEPT.items():
        for weight in weights:
            chosen_recipe = recipe.with_settings([f"bottleneck={kind}", f"bottleneck.weight={weight}"])
            name = "article-003" if chosen_recipe == recipe else f"{kind} {weight:g}"
            study.model(name, data, test, chosen_recipe, epochs=EPOCHS, precision="float32")
            row = study.cells[name]
            curves.setdefault(f"λ·{kind.upper()}", []).append((row["nonzero"], row["mse"]))
    curves["plain"] = [(512.0, study.cells["plain"]["mse"])]
    study.picture(
        "article-003.png",
        draw_curves(
            {name: sorted(points) for name, points in curves.items()},
            x_label="numbers of 512 that are not zero, per image",
            y_label="squared error, unseen images",
        ),
    )
    model = study.model("article-003", data, test, recipe, epochs=EPOCHS, precision="float32")
    shown = test.stack(range(0, len(test), len(test) // COLUMNS))[:COLUMNS]
    count = study.cells["article-003"]["nonzero"]
    rows = [("unseen images", shown), (f"article-003, {count:.0f} of 512 numbers", model.reconstruct(shown))]
    study.picture("article-003-images.png", draw_image_rows(rows, columns=COLUMNS))
