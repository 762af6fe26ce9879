"""Five published descriptions of autoencoders, each with its exact settings (docs/research/articles/).

They share Keras' defaults: Adam at 0.001 with β₂ 0.999, neither schedule, clipping nor averaged weights. A
convolution that the description leaves unpadded is padded here, or the sizes would not come back.
"""

from __future__ import annotations

from isthmus.model import axes
from isthmus.model.recipe import Recipe


def article_000() -> Recipe:
    """Collapsed: convolutions 32-64 with pooling, code 128, no positions; for 32×32 colour images.

    Borders are reflected: borders of zeros would tell a convolution where it is.
    """
    backbone = axes.Stacked(width=(32, 64), decoder=(8, 64, 32), down="pool", up="nearest", padding="reflect")
    return Recipe(name="article-000", code="128", backbone=backbone, optimiser=_adam(batch=32, epochs=10))


def article_001() -> Recipe:
    """Fully connected 784-64-32 and 32-64-784, a rectified code of 32 numbers; for generation from codes."""
    return Recipe(
        name="article-001",
        code="32",
        backbone=axes.Dense(width=(64,), decoder=(32, 64)),
        bottleneck=axes.Plain(rectified=True),
        optimiser=_adam(batch=256, epochs=10),
    )


def article_002() -> Recipe:
    """One convolution with pooling, one with repetition, and λ‖z‖² on the rectified grid code between."""
    return Recipe(
        name="article-002",
        code="32@2",
        backbone=axes.Stacked(width=(), decoder=(32,), down="pool", up="nearest"),
        bottleneck=axes.L2(weight=0.01, rectified=True),
        optimiser=_adam(batch=128, epochs=10),
    )


def article_003() -> Recipe:
    """Sparse: strided convolutions with batch normalisation 16-8-32 and back, MSE + λ·L0 (or l1)."""
    backbone = axes.Stacked(width=(16, 8), norm="batch", output="linear")
    return Recipe(
        name="article-003",
        code="32@8",
        backbone=backbone,
        bottleneck=axes.L0(weight=0.1),
        optimiser=_adam(batch=128, epochs=50),
    )


def article_004() -> Recipe:
    """One layer each way around ten rectified numbers; encoder and decoder are used apart."""
    return Recipe(
        name="article-004",
        code="10",
        backbone=axes.Dense(width=()),
        bottleneck=axes.Plain(rectified=True),
        optimiser=_adam(batch=32, epochs=100),
    )


def _adam(*, batch: int, epochs: float) -> axes.Optimiser:
    return axes.Optimiser(
        rate=1e-3, batch=batch, epochs=epochs, beta2=0.999, schedule="constant", warmup=0.0, clip=0.0, ema=0.0
    )
