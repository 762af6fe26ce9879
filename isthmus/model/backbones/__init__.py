"""Encoder and decoder of each backbone, behind one interface.

An encoder turns a padded batch into `Features`; a decoder turns code values back into an image of the same
padded size. Both come in pairs from `build`.
"""

from __future__ import annotations

from isthmus.model import axes
from isthmus.model.backbones.interface import Decoder, Encoder, Plan
from isthmus.model.recipe import Recipe


def build(recipe: Recipe, plan: Plan) -> tuple[Encoder, Decoder]:
    """The encoder and decoder that a recipe asks for, at the sizes in `plan`."""
    match recipe.backbone:
        case axes.Dense():
            from isthmus.model.backbones import dense

            return dense.DenseEncoder(recipe.backbone, plan), dense.DenseDecoder(recipe.backbone, plan)
        case axes.Conv():
            from isthmus.model.backbones import block_transform, conv

            if recipe.backbone.encoder == "linear":
                return block_transform.BlockTransform(recipe.backbone, plan), conv.ConvDecoder(recipe, plan)
            return conv.ConvEncoder(recipe, plan), conv.ConvDecoder(recipe, plan)
        case axes.Stacked():
            from isthmus.model.backbones import stacked

            return stacked.StackedEncoder(recipe, plan), stacked.StackedDecoder(recipe, plan)
        case axes.Recurrent():
            from isthmus.model.backbones import recurrent

            return recurrent.RecurrentEncoder(recipe, plan), recurrent.RecurrentDecoder(recipe, plan)
        case axes.Attention():
            from isthmus.model.backbones import attention

            return attention.AttentionEncoder(recipe, plan), attention.AttentionDecoder(recipe, plan)
        case axes.Filters():
            from isthmus.model.backbones import filters

            return filters.FiltersEncoder(recipe, plan), filters.FiltersDecoder(recipe, plan)
