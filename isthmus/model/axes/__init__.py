"""Every axis of the product space and every point on it, as plain frozen settings (no torch here).

One module is one axis, one class one point: `backbone` holds `Dense`, `Conv`, `Stacked` and so on, and their
base `Backbone`. A point owns exactly the settings that mean something for it, and its facts (`point.Point`).
The networks behind them are built in `backbones/`, `bottlenecks/`, `positions`, `corruptions` and `critics`.

`AXES` lists the points of every axis; a class that is derived from an axis joins it when it is defined.
"""

from __future__ import annotations

from isthmus.model.axes.backbone import (
    Activation,
    Attention,
    Conv,
    Dense,
    Norm,
    Recurrent,
    Stacked,
)
from isthmus.model.axes.backbone_facts import Backbone, Output, PatchRequest
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
from isthmus.model.axes.components import Components
from isthmus.model.axes.corruption import (
    BlindSpot,
    Blur,
    Corruption,
    GaussianNoise,
    Jpeg,
    Mask,
    NoCorruption,
    Pairs,
    PoissonNoise,
    RealNoise,
    Recorrupted,
    SaltPepper,
    SyntheticDefects,
)
from isthmus.model.axes.critic import Critic, NoCritic, OnCodes, OnImages
from isthmus.model.axes.filters import Filters
from isthmus.model.axes.objective import Objective, Optimiser
from isthmus.model.axes.point import AXES, Point, Refusal
from isthmus.model.axes.positions import (
    Coordinates,
    Learned,
    NoPositions,
    Positions,
    Sinusoidal,
)
from isthmus.model.axes.unet import Unet

AXES["objective"], AXES["optimiser"] = (Objective,), (Optimiser,)

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
    "Components",
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
    "Pairs",
    "PatchRequest",
    "Plain",
    "Point",
    "PoissonNoise",
    "Positions",
    "Quantised",
    "RealNoise",
    "Recorrupted",
    "Recurrent",
    "Refusal",
    "SaltPepper",
    "Sinusoidal",
    "Stacked",
    "SyntheticDefects",
    "TopK",
    "Unet",
]
