"""The four networks of `benchmarks/training.py` in Keras: the layers of `networks.py`, channels last."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def build(name: str) -> keras.Model:
    """Images `(N, H, W, C)` → images in [0, 1], float32 also under a mixed policy."""
    return NETWORKS[name]()


def _dense() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(512, "relu"),
            layers.Dense(128, "relu"),
            layers.Dense(32),
            layers.Dense(128, "relu"),
            layers.Dense(512, "relu"),
            layers.Dense(784),
            layers.Activation("sigmoid", dtype="float32"),
            layers.Reshape((28, 28, 1)),
        ]
    )


def _small_conv() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2DTranspose(32, 3, 2, "same", activation="relu"),
            layers.Conv2DTranspose(32, 3, 2, "same", activation="relu"),
            layers.Conv2D(1, 3, padding="same"),
            layers.Activation("sigmoid", dtype="float32"),
        ]
    )


def _to_depth(x: tf.Tensor) -> tf.Tensor:
    return layers.Lambda(lambda y: tf.nn.space_to_depth(y, 2))(x)


def _to_space(x: tf.Tensor) -> tf.Tensor:
    return layers.Lambda(lambda y: tf.nn.depth_to_space(y, 2))(x)


def _residual(x: tf.Tensor, width: int) -> tf.Tensor:
    y = layers.Conv2D(width, 3, padding="same", activation="relu")(layers.ReLU()(x))
    return layers.Add()([x, layers.Conv2D(width, 3, padding="same")(y)])


def _conv() -> keras.Model:
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(64, 3, padding="same")(_to_depth(images))
    x = layers.Conv2D(128, 2, 2)(layers.ReLU()(_residual(x, 64)))
    code = layers.Dense(128)(layers.Flatten()(layers.ReLU()(_residual(x, 128))))
    x = layers.Reshape((8, 8, 128))(layers.Dense(128 * 64)(code))
    x = layers.ReLU()(_residual(layers.Conv2D(128, 3, padding="same")(x), 128))
    x = layers.ReLU()(_residual(_to_space(layers.Conv2D(256, 1)(x)), 64))
    x = _to_space(layers.Conv2D(12, 3, padding="same")(x))
    return keras.Model(images, layers.Activation("sigmoid", dtype="float32")(x))


def waves(side: int, bands: int = 4) -> np.ndarray:
    """`(side², 4·bands)`: sines and cosines of row and column at doubling frequencies."""
    ramp = np.linspace(-1, 1, side)
    ramps = np.stack(np.meshgrid(ramp, ramp, indexing="ij")).reshape(2, -1)
    phases = (ramps[None] * (np.pi / 2 * 2.0 ** np.arange(bands))[:, None, None]).reshape(-1, side * side)
    return np.concatenate([np.sin(phases), np.cos(phases)]).T.astype(np.float32)


class Where(layers.Layer):
    """Adds a learned projection of the position map to the tokens."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.map, self.project = waves(side), layers.Dense(width)

    def build(self, _: tuple[int, ...]) -> None:
        self.project.build(self.map.shape)

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        return tokens + self.project(tf.constant(self.map))


def _block(x: tf.Tensor) -> tf.Tensor:
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(4, 32)(y, y)])
    y = layers.Dense(512, "gelu")(layers.LayerNormalization(epsilon=1e-5)(x))
    return layers.Add()([x, layers.Dense(128)(y)])


def _tokens(x: tf.Tensor) -> tf.Tensor:
    x = Where(8, 128)(x)
    for _ in range(3):
        x = _block(x)
    return layers.LayerNormalization(epsilon=1e-5)(x)


def _attention() -> keras.Model:
    images = keras.Input((32, 32, 3))
    patches = layers.Reshape((64, 48))(layers.Lambda(lambda y: tf.nn.space_to_depth(y, 4))(images))
    x = _tokens(layers.Dense(128)(patches))
    code = layers.Dense(64)(layers.Flatten()(layers.Dense(32)(x)))
    x = layers.RepeatVector(64)(layers.Dense(128)(code))
    x = layers.Reshape((8, 8, 48))(layers.Dense(48)(_tokens(x)))
    x = layers.Lambda(lambda y: tf.nn.depth_to_space(y, 4))(x)
    return keras.Model(images, layers.Activation("sigmoid", dtype="float32")(x))


NETWORKS = {"dense": _dense, "small-conv": _small_conv, "conv": _conv, "attention": _attention}
