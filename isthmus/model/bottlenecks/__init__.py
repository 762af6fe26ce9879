"""What kind of code the encoder's features become, and what that costs."""

from __future__ import annotations

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.geometry import Geometry
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, *, channels: int) -> Bottleneck:
    """The bottleneck that a recipe asks for, in a model of images of `channels` channels."""
    from isthmus.model.bottlenecks import contractive, entropy, gaussian, norms, quantised, sparse

    geometry: Geometry = recipe.geometry
    match recipe.bottleneck:
        case axes.Plain():
            return norms.PlainBottleneck(recipe.bottleneck)
        case axes.L2():
            return norms.L2Bottleneck(recipe.bottleneck)
        case axes.L1():
            return norms.L1Bottleneck(recipe.bottleneck)
        case axes.KLSparse():
            return sparse.KLSparseBottleneck(recipe.bottleneck)
        case axes.TopK():
            return sparse.TopKBottleneck(recipe.bottleneck, geometry)
        case axes.L0():
            return sparse.L0Bottleneck(recipe.bottleneck)
        case axes.Contractive():
            return contractive.ContractiveBottleneck(recipe)
        case axes.Gaussian():
            return gaussian.GaussianBottleneck(recipe.bottleneck)
        case axes.Quantised(method="fsq"):
            return quantised.FSQBottleneck(recipe.bottleneck)
        case axes.Quantised():
            return quantised.VQBottleneck(recipe.bottleneck, geometry)
        case axes.Entropy():
            return entropy.EntropyBottleneck(recipe.bottleneck, geometry, channels)
