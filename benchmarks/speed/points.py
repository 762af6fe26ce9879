"""The four networks of `benchmarks/training.py` as points of the product space."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.model import axes
from isthmus.model.recipe import Recipe


@dataclass(frozen=True)
class Network:
    """A recipe, the images it is for (`gray` 28×28, `colour` 32×32), and images per step, for everyone.

    `unused`: parameters of the recipe's point that no gradient reaches here, and which peers therefore lack.
    """

    recipe: Recipe
    images: str
    batch: int
    per_turn: int
    unused: int


NETWORKS = {
    # 784-512-128-32-128-512-784, the batch of Keras' dense example.
    "dense": Network(
        Recipe(name="dense", code="32", backbone=axes.Dense(width=(512, 128))), "gray", 256, 12800, 1
    ),
    # The 28,353 parameters and the batch of keras.io's convolutional autoencoder of MNIST.
    "small-conv": Network(
        Recipe(
            name="small-conv",
            code="32@4",
            backbone=axes.Stacked(width=(32,), decoder=(32, 32), down="pool"),
            bottleneck=axes.Plain(rectified=True),
        ),
        "gray",
        128,
        1280,
        1,
    ),
    # Residual convolutions of 64 channels at 16×16 and 128 at 8×8.
    "conv": Network(
        Recipe(name="conv", code="128", backbone=axes.Conv(width=(64, 128), blocks=1)), "colour", 128, 512, 1
    ),
    # 64 patches of 4×4, three blocks in the encoder and three in the decoder.
    "attention": Network(
        Recipe(
            name="attention",
            code="64",
            backbone=axes.Attention(width=(128,), depth=3, heads=4, patch=4),
            positions=axes.Sinusoidal(),
        ),
        "colour",
        128,
        512,
        129,
    ),
}
