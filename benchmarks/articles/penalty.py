"""002: one convolution and pooling with λ‖z‖² on MNIST: what λ does, and the dense and recurrent kinds."""

from __future__ import annotations

from data import mnist
from study import Study

import isthmus
from isthmus.evaluate.drawing.pictures import before_after

SWEPT = (0.0, 0.01, 0.1, 1.0)
EPOCHS, SWEEP_EPOCHS = 2, 0.5
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
    model = study.model("article-002", data, test, recipe, epochs=EPOCHS, precision="bfloat16")
    shown = test.stack(range(0, len(test), len(test) // COLUMNS))[:COLUMNS]
    rows = [("unseen images", shown), ("article-002, two epochs", model.reconstruct(shown))]
    for weight in SWEPT:
        asked = recipe.with_settings([f"bottleneck.weight={weight}"])
        swept = study.model(f"λ {weight:g}", data, test, asked, epochs=SWEEP_EPOCHS, precision="bfloat16")
        if weight in (0.01, 1.0):
            rows.append((f"weight {weight:g}, half an epoch", swept.reconstruct(shown)))
    for name, settings in KINDS.items():
        asked = recipe.with_settings([*settings, "code=32"])
        kind = study.model(name, data, test, asked, epochs=SWEEP_EPOCHS, precision="float32")
        rows.append((f"{name}, half an epoch", kind.reconstruct(shown)))
    study.picture("article-002.png", before_after(rows, columns=COLUMNS))
