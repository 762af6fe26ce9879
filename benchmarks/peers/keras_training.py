"""Keras' `fit` on TensorFlow, the same layers as everyone's, in float32 or mixed_bfloat16.

A contender of `benchmarks/training.py`: `keras_training.py NETWORK PIXELS.npy BATCH THREADS POLICY`.
"""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from gate import Gate


class Turns(keras.callbacks.Callback):
    """One epoch per order."""

    def __init__(self, gate: Gate, images: int) -> None:
        super().__init__()
        self.gate, self.images = gate, images

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        if self.gate.wait() == "end":
            raise SystemExit

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        self.gate.report(self.images)


def main(network: str, pixels: str, batch: str, threads: str, policy: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    gate = Gate()
    keras.mixed_precision.set_global_policy(policy)
    keras.utils.set_random_seed(0)
    from keras_networks import build

    images = np.load(pixels).astype(np.float32) / 255
    model = build(network)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    gate.say({"parameters": model.count_params(), "keras": keras.__version__, "tensorflow": tf.__version__})
    turns = Turns(gate, len(images))
    model.fit(images, images, batch_size=int(batch), epochs=10**9, verbose=0, callbacks=[turns])


if __name__ == "__main__":
    main(*sys.argv[1:])
