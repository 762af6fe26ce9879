"""How `model.safetensors` was made: a small codec for the tests, trained on photos of scikit-image.

    python tests/codec/golden/make_model.py

The files beside it are decoded with this very model, so it is made once and kept.
"""

from pathlib import Path

import numpy as np
from skimage import data

import isthmus
from isthmus.codec.fit import fit_tables

HERE = Path(__file__).parent


def main() -> None:
    photos = [photo[:256, :256] for photo in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())]
    model = isthmus.train(
        np.stack(photos),
        recipe="codec",
        code="12@8",
        settings={"backbone.width": "12,16", "backbone.blocks": 1, "optimiser.batch": 8},
        steps=600,
        crop=64,
        validation=0.25,
        precision="float32",
        seed=0,
    )
    fit_tables(model, photos, qualities=(20, 50, 80))
    model.save(HERE / "model.safetensors")


if __name__ == "__main__":
    main()
