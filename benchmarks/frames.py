"""Moving digits through the code: frames filled and foretold, beside copying and blending, in PSNR.

    python benchmarks/frames.py                       about ten minutes on one core
    python benchmarks/frames.py --recipe recurrent
    python benchmarks/frames.py --quick               that it runs

Sequences of 16 frames are made from MNIST by `moving_digits.py` (training digits to train on, test
digits to measure on). An autoencoder learns single frames, then `fit_dynamics` how their codes move.
Measured: every second frame dropped and filled; the next three frames from the first thirteen. PSNR is of
the mean squared error over all such frames.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from moving_digits import make_moving_sequences

import isthmus
from isthmus.generation.codes import encode_images
from isthmus.generation.dynamics import NAME, fit_dynamics
from isthmus.generation.frames import fill_frames, predict_frames
from isthmus.images.animation import write_frames
from isthmus.images.store import ImageSet, Pixels

FRAMES, NEXT = 16, 3


def as_set(frames: Pixels) -> ImageSet:
    return ImageSet(frames, tuple(f"{t:03d}.png" for t in range(len(frames))), source="moving digits")


def psnr(pairs: list[tuple[Pixels, Pixels]]) -> float:
    error = np.mean([np.square((a.astype(float) - b.astype(float)) / 255).mean() for a, b in pairs])
    return -10 * math.log10(float(error))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="conv")
    parser.add_argument("--code", default="64")
    parser.add_argument("--side", type=int, default=40)
    parser.add_argument("--digits", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--motion-steps", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("frames"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    many = 40 if arguments.quick else arguments.sequences
    steps = 20 if arguments.quick else arguments.steps
    options = {"frames": FRAMES, "side": arguments.side, "objects": arguments.digits}
    train = make_moving_sequences(isthmus.read("mnist"), many, **options)
    test = make_moving_sequences(
        isthmus.read("mnist:test"), 20 if arguments.quick else 200, **options, seed=1
    )
    frames = train.reshape(-1, *train.shape[2:])
    path = arguments.out / f"{arguments.recipe}.safetensors"
    if path.exists():
        model = isthmus.load(path)
    else:
        model = isthmus.train(
            frames, recipe=arguments.recipe, code=arguments.code, steps=steps, patience=0,
            precision="bfloat16", out=path,
        )  # fmt: skip
    if NAME not in model.attachments:
        codes = [encode_images(model, as_set(sequence)) for sequence in train]
        fit_dynamics(model, codes, steps=20 if arguments.quick else arguments.motion_steps)
        model.save(path)
    dropped = list(range(1, FRAMES - 1, 2))
    rows: dict[str, list[tuple[Pixels, Pixels]]] = {}

    def add(name: str, made: Pixels, real: Pixels) -> None:
        rows.setdefault(name, []).append((made, real))

    learned = model.attachments.pop(NAME)
    for way in ("straight", "learned"):
        if way == "learned":
            model.attachments[NAME] = learned
        for sequence in test:
            real, last = sequence[dropped], sequence[-NEXT:]
            add(f"filled, {way} in the code", fill_frames(model, as_set(sequence), dropped)[dropped], real)
            if way == "learned":
                add(
                    "foretold, learned in the code",
                    predict_frames(model, as_set(sequence[:-NEXT]), NEXT),
                    last,
                )
                add("reconstructed", np.asarray(model.reconstruct(sequence)), sequence)
                blend = (
                    sequence[[t - 1 for t in dropped]].astype(float) + sequence[[t + 1 for t in dropped]]
                ) / 2
                add("filled, frames blended", blend, real)
                add("filled, frame before copied", sequence[[t - 1 for t in dropped]], real)
                add("foretold, last frame copied", np.repeat(sequence[-NEXT - 1 : -NEXT], NEXT, 0), last)
    results = {name: round(psnr(pairs), 2) for name, pairs in rows.items()}
    results["training seconds"] = model.summary["seconds"]
    print(json.dumps(results, indent=1))
    (arguments.out / f"{arguments.recipe}.json").write_text(json.dumps(results, indent=1))
    shown = fill_frames(model, as_set(test[0]), dropped)
    write_frames(arguments.out / f"{arguments.recipe}.gif", np.concatenate([test[0], shown], 2), least=320)


if __name__ == "__main__":
    main()
