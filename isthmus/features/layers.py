"""The activations of any stage of a trained encoder, as maps or vectors.

A layer is named `code`, as the backbone's `dense_layer` (`filters`: what each filter of a `filters` encoder
answers at every pixel), or as the encoder's own module, such as `stages.1`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus.errors import UsageError, nearest
from isthmus.model.autoencoder import Autoencoder

CODE = "code"


def layer_names(model: Autoencoder) -> list[str]:
    """Every layer that this model can be read at, the code first."""
    own = [name for name, _ in _stages(model)]
    dense = model.recipe.backbone.dense_layer
    return [CODE, *([] if dense is None else [dense]), *own]


def check_layer(model: Autoencoder, layer: str) -> None:
    """Raises UsageError, naming the nearest, unless the model has this layer."""
    names = layer_names(model)
    if layer not in names:
        raise UsageError(
            "this model has no layer '{layer}'{suggestion}",
            id="features.unknown-layer",
            layer=layer,
            suggestion=nearest(layer, names),
        )


@torch.no_grad()
def activations(model: Autoencoder, images: Tensor, layer: str) -> Tensor:
    """The layer's answer to `images (N, C, H, W)`, in [0, 1]: maps `(N, K, h, w)` or vectors `(N, K)`.

    A sequence (of tokens, of rows) `(N, steps, K)` comes as maps `(N, K, steps, 1)`.

    Raises:
        UsageError: the model has no such layer.
    """
    check_layer(model, layer)
    if layer == CODE:
        return model.encode_batch(images)
    if layer == model.recipe.backbone.dense_layer:
        return model.encoder.responses(images)
    outputs: list[Tensor] = []

    def record(_module: nn.Module, _inputs: object, answer: object) -> None:
        first = answer[0] if isinstance(answer, tuple) else answer
        assert isinstance(first, Tensor)
        outputs.append(first)

    handle = dict(_stages(model))[layer].register_forward_hook(record)
    try:
        model.encode_batch(images)
    finally:
        handle.remove()
    output = outputs[-1].float()
    return output.transpose(1, 2).unsqueeze(-1) if output.ndim == 3 else output


def _stages(model: Autoencoder) -> list[tuple[str, nn.Module]]:
    """Modules of the encoder that are steps on the way: its children, and the members of its lists."""
    stages: list[tuple[str, nn.Module]] = []
    for name, child in model.encoder.named_children():
        members = isinstance(child, nn.ModuleList | nn.Sequential)
        steps = (
            [(f"{name}.{key}", part) for key, part in child.named_children()] if members else [(name, child)]
        )
        stages += [(key, part) for key, part in steps if _runs(part)]
    return stages


def _runs(part: nn.Module) -> bool:
    """Whether a module has weights, and is called on what passes through."""
    return any(True for _ in part.parameters()) and type(part).forward is not nn.Module.forward
