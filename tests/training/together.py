"""What every process of a test does; run by `torchrun --nproc-per-node N -m tests.training.together FOLDER`.

Each case is trained with all processes together; process 0 leaves the models in FOLDER. Afterwards a training
that one process began is finished, and one is left unfinished for one process.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from isthmus.errors import IsthmusError
from isthmus.model.recipe import Recipe

from .cases import labelled, pictures, run_training, small

# Gradient descent without momentum passes rounding on as it is; Adam divides by it.
PLAIN = ("optimiser.name=sgd", "optimiser.rate=0.05", "optimiser.batch=9")
STEPS = 6

CASES: dict[str, tuple[Recipe, dict[str, Any]]] = {
    "conv": (small("conv", *PLAIN, code="4@4"), {}),
    "crops": (small("conv", *PLAIN, code="4@4"), {"crop": 8, "augment_orientations": True}),
    "variational": (small("variational", *PLAIN, "bottleneck.free_bits=0.05"), {}),
    "noise": (small("dense", *PLAIN, "corruption=gaussian"), {}),
    "patches": (small("dense", *PLAIN, "corruption=mask"), {}),
    "kl-sparse": (small("dense", *PLAIN, "bottleneck=kl-sparse"), {}),
    "top-k": (small("sparse", *PLAIN), {}),
    "l0": (small("dense", *PLAIN, "bottleneck=l0", "bottleneck.active=3"), {}),
    "contractive": (small("contractive", *PLAIN), {}),
    "adversarial": (small("adversarial", *PLAIN), {}),
    "vae-gan": (small("vae-gan", *PLAIN), {}),
    "whole batch": (small("dense", "optimiser.name=gd"), {}),
    "adam": (small("conv", "optimiser.batch=9", code="8"), {}),
}


def train(name: str, out: Path, **more: Any) -> None:
    recipe, options = CASES[name]
    run_training(
        pictures(),
        recipe=recipe,
        out=out / f"{name}.safetensors",
        **{"steps": STEPS, "precision": "float32", "force": True, **options, **more},
    )


def refused(**how: Any) -> str:
    """What this process is told; nothing where another one says it."""
    try:
        run_training(**how)
    except IsthmusError as error:
        return f"{type(error).__name__}: {error.message}"
    except SystemExit:
        return ""
    return "trained"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    first = os.environ["RANK"] == "0"
    together = folder / "together"
    for name in CASES:
        train(name, together)
    run_training(pictures(), out=folder / "begun.safetensors", resume=True)
    facts = {
        "norm": refused(data=pictures(), recipe=small("conv", "backbone.norm=batch", code="8"), steps=2),
        "few": refused(data=pictures(), recipe=small("dense", "optimiser.batch=1"), steps=2),
        "missing": refused(data="nowhere/", recipe="dense", steps=2),
        # Only process 1 has labels that it cannot balance.
        "one": refused(data=labelled() if first else pictures(), recipe="dense", steps=1, balance=True),
        "other": refused(data=pictures(seed=0 if first else 1), recipe=small("dense"), steps=1),
    }
    # Each process has a clock of its own; the first decides.
    ticks = itertools.count(1000.0, 0.25 if first else 16.0)
    clock = functools.partial(next, ticks)
    timed = run_training(pictures(), recipe=CASES["conv"][0], minutes=0.2, precision="float32", clock=clock)
    weights = {name: value.double().sum().item() for name, value in timed.state_dict().items()}
    timing = {"knots": timed.summary["knots"], "steps": timed.summary["steps"], "weights": weights}
    (folder / f"timed-{os.environ['RANK']}.json").write_text(json.dumps(timing))
    (folder / f"refused-{os.environ['RANK']}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
