"""Keras' own autoencoders of MNIST until a loss is reached.

    python keras_quality.py TASK TRAIN.npy HELD_OUT.npy TARGET MINUTES CLOCK

The networks and their training are those of "Building Autoencoders in Keras" (F. Chollet, 2016): the
convolutional one of code 4×4×8 (`bce-128`) and the deep dense one of code 32 (`mse-32`), Adam, batches of 128
and of 256, binary cross-entropy, which is what the article minimises, also where squared error is asked for.
"""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from watch import OverError, Watch


def convolutional() -> keras.Model:
    def conv(channels: int, activation: str = "relu", padding: str = "same") -> layers.Layer:
        return layers.Conv2D(channels, 3, activation=activation, padding=padding)

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            conv(16),
            layers.MaxPooling2D(2, padding="same"),
            conv(8),
            layers.MaxPooling2D(2, padding="same"),
            conv(8),
            layers.MaxPooling2D(2, padding="same"),
            conv(8),
            layers.UpSampling2D(2),
            conv(8),
            layers.UpSampling2D(2),
            conv(16, padding="valid"),
            layers.UpSampling2D(2),
            conv(1, "sigmoid"),
        ]
    )


def deep() -> keras.Model:
    widths = (128, 64, 32, 64, 128)
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    last = [layers.Dense(784, activation="sigmoid"), layers.Reshape((28, 28, 1))]
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), *hidden, *last])


class Looks(keras.callbacks.Callback):
    def __init__(self, watch: Watch, held_out: np.ndarray, squared: bool) -> None:
        super().__init__()
        self.watch, self.held_out, self.squared = watch, held_out, squared

    def loss(self) -> float:
        painted = np.clip(self.model.predict_on_batch(self.held_out), 1e-7, 1 - 1e-7)
        if self.squared:
            return float(np.square(painted - self.held_out).mean())
        x = self.held_out
        return float(-(x * np.log(painted) + (1 - x) * np.log(1 - painted)).mean())

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self.watch.look(self.loss)


def main(task: str, train: str, held_out: str, target: str, minutes: str, clock: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ["OMP_NUM_THREADS"]))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    training_images, unseen = (np.load(name).astype(np.float32) / 255 for name in (train, held_out))
    squared = task.startswith("mse")
    model = deep() if squared else convolutional()
    model.compile(optimizer="adam", loss="binary_crossentropy")
    watch = Watch(float(target), float(minutes), clock)
    try:
        looks = Looks(watch, unseen[:1000], squared)
        batch = 256 if squared else 128
        model.fit(
            training_images, training_images, epochs=10**6, batch_size=batch, verbose=0, callbacks=[looks]
        )
    except OverError:
        print(watch.summary())


if __name__ == "__main__":
    main(*sys.argv[1:])
