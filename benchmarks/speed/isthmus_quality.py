"""Isthmus' default recipe until a loss is reached.

    python isthmus_quality.py TASK TRAIN.npy HELD_OUT.npy TARGET MINUTES CLOCK

From the call of `isthmus.train` on: its choice of a precision and its validations count.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

import numpy as np
import torch

from isthmus.training.callbacks import Progress
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model
from isthmus.training.trainer_setup import Observers

EPOCHS = 2  # the rate falls over these; all of the images, twice


class OverError(Exception):
    """The target is reached, or the time is over."""


def main(task: str, train: str, held_out: str, target: str, minutes: str, clock: str) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    term, _, code = task.partition("-")
    now = time.process_time if clock == "busy" else time.monotonic
    training_images, unseen = np.load(train), np.load(held_out)[:1000]
    course: list[tuple[float, float]] = []
    began = now()

    def listen(progress: Progress) -> None:
        # The image term alone is the whole objective of this recipe.
        if progress.validation is None or (course and course[-1][1] == progress.validation):
            return
        course.append((now() - began, progress.validation))
        if progress.validation <= float(target) or course[-1][0] > 60 * float(minutes):
            raise OverError

    with contextlib.suppress(OverError):
        train_model(
            training_images,
            TrainConfig(epochs=EPOCHS),
            val=unseen,
            code=code,
            settings={"objective.image": term},
            observers=Observers(listener=listen),
        )
    seconds, loss = course[-1]
    best = min(value for _, value in course)
    facts = {"seconds": seconds, "reached": loss <= float(target), "loss": loss, "best": best}
    print(json.dumps({**facts, "course": course}))


if __name__ == "__main__":
    main(*sys.argv[1:])
