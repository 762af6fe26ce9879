"""003: strided convolutions with batch normalisation on CIFAR-10: λ·L0 and λ·L1, sparsity against error."""

from __future__ import annotations

from data import cifar10
from study import Study

import isthmus
from isthmus.evaluate.pictures import before_after, curves

EPOCHS, SWEEP_EPOCHS = 6, 2
SWEPT = {"l0": (0.02, 0.08, 0.3), "l1": (0.01, 0.03, 0.1)}
COLUMNS = 10


def run(study: Study) -> None:
    data, test = cifar10()
    recipe = isthmus.recipe("article-003")
    study.model(
        "plain",
        data,
        test,
        recipe.with_settings(["bottleneck=plain"]),
        epochs=SWEEP_EPOCHS,
        precision="float32",
    )
    found: dict[str, list[tuple[float, float]]] = {}
    for kind, weights in SWEPT.items():
        for weight in weights:
            asked = recipe.with_settings([f"bottleneck={kind}", f"bottleneck.weight={weight}"])
            name = f"{kind} {weight:g}"
            study.model(name, data, test, asked, epochs=SWEEP_EPOCHS, precision="float32")
            row = study.cells[name]
            found.setdefault(f"λ·{kind.upper()}", []).append((row["nonzero"], row["mse"]))
    model = study.model("article-003", data, test, recipe, epochs=EPOCHS, precision="float32")
    plain = study.cells["plain"]
    found["plain"] = [(plain["code"]["non_zeros_per_image"] * 16, plain["mse"])]
    study.picture(
        "article-003.png",
        curves(
            {name: sorted(points) for name, points in found.items()},
            x_label="numbers of 512 that are not zero, per image",
            y_label="squared error, unseen images",
        ),
    )
    shown = test.stack(range(0, len(test), len(test) // COLUMNS))[:COLUMNS]
    count = study.cells["article-003"]["nonzero"]
    rows = [("unseen images", shown), (f"article-003, {count:.0f} of 512 numbers", model.reconstruct(shown))]
    study.picture("article-003-images.png", before_after(rows, columns=COLUMNS))
