"""Bottlenecks turn the encoder's features into a code and compute its penalty."""

from __future__ import annotations

from isthmus.model.axes.point import network_of
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, *, channels: int) -> Bottleneck:
    """The bottleneck that a recipe asks for, in a model of images of `channels` channels."""
    kind: type[Bottleneck] = network_of(recipe.bottleneck)
    return kind.build(recipe.bottleneck, recipe, channels)
