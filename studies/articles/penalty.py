"""002: one convolution and pooling with λ‖z‖² on MNIST: what λ does, and the dense and recurrent kinds."""

from __future__ import annotations

from data import mnist
from study import Study

import isthmus
from isthmus.reports.image_sheets import draw_image_rows

SWEPT = (0.0, 0.01, 0.1, 1.0)
EPOCHS = 10
COLUMNS = 10
KINDS = {
    "stacked, 32 numbers": (
        "backbone=stacked",
        "backbone.width=32",
        "backbone.down=pool",
        "backbone.up=nearest",
    ),
    "dense, 32 numbers": ("backbone=dense",),
    "recurrent, 32 numbers": ("backbone=recurrent", "backbone.width=128", "positions=coordinates"),
}


def run(study: Study) -> None:
    data, test = mnist()
    recipe = isthmus.recipe("article-002")
    shown = test.stack(range(0, len(test), len(test) // COLUMNS))[:COLUMNS]
    rows = [("unseen images", shown)]
    for weight in SWEPT:
        chosen_recipe = recipe.with_settings([f"bottleneck.weight={weight}"])
        name = "article-002" if chosen_recipe == recipe else f"λ {weight:g}"
        swept = study.model(name, data, test, chosen_recipe, epochs=EPOCHS, precision="bfloat16")
        if weight in (0.01, 1.0):
            rows.append((f"article-002, weight {weight:g}", swept.reconstruct(shown)))
    for name, settings in KINDS.items():
        chosen_recipe = recipe.with_settings([*settings, "code=32"])
        kind = study.model(name, data, test, chosen_recipe, epochs=EPOCHS, precision="float32")
        rows.append((name, kind.reconstruct(shown)))
    study.picture("article-002.png", draw_image_rows(rows, columns=COLUMNS))
