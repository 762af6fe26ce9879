"""Encoder and decoder of each backbone, behind one interface.

An encoder turns a padded batch into `Features`; a decoder turns code values back into an image of the same
padded size. Both come in pairs from `build`.
"""

from __future__ import annotations

from isthmus.model.axes.point import network_of
from isthmus.model.backbones.interface import Decoder, Encoder, Plan
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    """The encoder and decoder that a recipe asks for, at the sizes in `plan`."""
    made: tuple[Encoder, Decoder] = network_of(recipe.backbone)(recipe, plan)
    return made
