"""000: convolutions 32-64 with pooling around a code of 128 numbers, on CIFAR-10."""

from __future__ import annotations

from data import cifar10
from study import Study

import isthmus
from isthmus.images.array_format import to_batch
from isthmus.images.batches import iter_batches
from isthmus.metrics.baselines import PCA
from isthmus.reports.image_sheets import draw_image_rows

COLUMNS, EPOCHS = 10, 10


def run(study: Study) -> None:
    data, test = cifar10()
    recipe = isthmus.recipe("article-000")
    model = study.model("article-000", data, test, recipe, epochs=EPOCHS, precision="bfloat16")
    chosen = test.stack(range(0, len(test), len(test) // COLUMNS))[:COLUMNS]
    batch, kind = to_batch(chosen)
    some = data.subset(range(0, len(data), 5))  # for a picture that is enough
    principal = PCA(128).fit(part.images for part in iter_batches(some, batch=500)).reconstruct(batch)
    rows = [
        ("unseen images, 3,072 numbers each", chosen),
        ("128 principal components", kind.restore(principal)),
        ("article-000, 128 numbers", model.reconstruct(chosen)),
    ]
    study.picture("article-000.png", draw_image_rows(rows, columns=COLUMNS))
