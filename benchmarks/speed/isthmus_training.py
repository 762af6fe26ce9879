"""Isthmus' own trainer as a contender: `isthmus_training.py NETWORK PIXELS BATCH THREADS FOLDER PRECISION`.

The steps are those of `isthmus.train` with everything it does by default: clipping, averaged weights, a
falling rate, losses of every term.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import numpy as np
import torch
from gate import Gate
from points import NETWORKS

from isthmus.images.arrays import from_array
from isthmus.images.reading import read
from isthmus.model.initialisation import build_for_images
from isthmus.training.data import TrainingData
from isthmus.training.plan import TrainPlan
from isthmus.training.players import AutoencoderLearner
from isthmus.training.process_settings import flushed_denormals, kept_memory
from isthmus.training.trainer import Trainer


@flushed_denormals()
@kept_memory()
def main(network: str, pixels: str, batch: str, threads: str, folder: str, precision: str) -> None:
    torch.set_num_threads(int(threads))
    gate = Gate()
    images = from_array(np.load(pixels))
    chosen = NETWORKS[network]
    plan = TrainPlan(
        size=images.shape[:2],
        batch=int(batch),
        steps=10**6,
        validate_every=10**6,
        precision=precision,
        seed=0,
    )
    model = build_for_images(chosen.recipe, images, plan.size, 0)
    trainer = Trainer(AutoencoderLearner(model), TrainingData(images), plan)
    steps = len(images) // plan.batch
    gate.say(
        {
            "parameters": sum(p.numel() for p in model.parameters()) - chosen.unused,
            "torch": torch.__version__,
            "isthmus": version("isthmus") if _installed() else "checkout",
        }
    )
    while (order := gate.wait()) != "end":
        if order == "train":
            until = trainer.state.step + steps
            trainer.fit(should_stop=lambda until=until: trainer.state.step >= until)
            gate.report(steps * plan.batch)
            continue
        model.eval().requires_grad_(False)
        model.precision = torch.float32 if precision == "float32" else torch.bfloat16
        if order == "encode":
            count = len(model.encode(images.pixels).values)
        elif order == "decode":
            codes = np.asarray(model.encode(images.pixels[:256])).repeat(len(images) // 256, 0)
            count = len(model.decode(codes))
        else:
            folder_images = read(folder)
            count = len(model.encode(folder_images.pixels).values)
        gate.report(count)


def _installed() -> bool:
    try:
        version("isthmus")
    except ModuleNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
