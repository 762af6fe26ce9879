"""Every axis of the product space and every point on it, as plain frozen settings (no torch here).

One module is one axis, one class one point: `backbone` is `Dense | Conv | Stacked | …`, and so on. A point
owns exactly the settings that mean something for it. The networks behind them are built in `backbones/`,
`bottlenecks/`, `corruptions` and `critics`.
"""

from __future__ import annotations

from isthmus.model.axes.backbone import (
    Activation,
    Attention,
    Backbone,
    Conv,
    Dense,
    Filters,
    Norm,
    Output,
    Recurrent,
    Stacked,
)
from isthmus.model.axes.bottleneck import (
    L0,
    L1,
    L2,
    Bottleneck,
    Contractive,
    Entropy,
    Gaussian,
    KLSparse,
    Plain,
    Quantised,
    TopK,
)
from isthmus.model.axes.corruption import (
    BlindSpot,
    Blur,
    Corruption,
    GaussianNoise,
    Jpeg,
    Mask,
    NoCorruption,
    PoissonNoise,
    Recorrupted,
    SaltPepper,
)
from isthmus.model.axes.critic import Critic, NoCritic, OnCodes, OnImages
from isthmus.model.axes.objective import Objective
from isthmus.model.axes.optimiser import Optimiser
from isthmus.model.axes.positions import (
    Coordinates,
    Learned,
    NoPositions,
    Positions,
    Sinusoidal,
)
from isthmus.model.axes.real_noise import RealNoise
from isthmus.model.setting import Settings

AXES: dict[str, tuple[type[Settings], ...]] = {
    "backbone": (Dense, Conv, Stacked, Recurrent, Attention, Filters),
    "positions": (NoPositions, Coordinates, Sinusoidal, Learned),
    "corruption": (
        NoCorruption,
        GaussianNoise,
        SaltPepper,
        PoissonNoise,
        Mask,
        Blur,
        Jpeg,
        Recorrupted,
        BlindSpot,
        RealNoise,
    ),
    "bottleneck": (Plain, L2, L1, KLSparse, TopK, L0, Contractive, Gaussian, Quantised, Entropy),
    "critic": (NoCritic, OnCodes, OnImages),
    "objective": (Objective,),
    "optimiser": (Optimiser,),
}

__all__ = [
    "AXES",
    "L0",
    "L1",
    "L2",
    "Activation",
    "Attention",
    "Backbone",
    "BlindSpot",
    "Blur",
    "Bottleneck",
    "Contractive",
    "Conv",
    "Coordinates",
    "Corruption",
    "Critic",
    "Dense",
    "Entropy",
    "Filters",
    "Gaussian",
    "GaussianNoise",
    "Jpeg",
    "KLSparse",
    "Learned",
    "Mask",
    "NoCorruption",
    "NoCritic",
    "NoPositions",
    "Norm",
    "Objective",
    "OnCodes",
    "OnImages",
    "Optimiser",
    "Output",
    "Plain",
    "PoissonNoise",
    "Positions",
    "Quantised",
    "RealNoise",
    "Recorrupted",
    "Recurrent",
    "SaltPepper",
    "Sinusoidal",
    "Stacked",
    "TopK",
]
