"""First weights that follow from the training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from isthmus.metrics.patch_map import PatchMap
from isthmus.model.autoencoder import Autoencoder


def init_filters(model: Autoencoder, pieces: Tensor, seed: int) -> None:
    """Make the first weights of `pieces (n, C, side, side)`, where the backbone asked for some."""
    winning = model.recipe.bottleneck.kept_units
    model.encoder.start_with(model.decoder, pieces, winning=winning, seed=seed)


@torch.no_grad()
def init_direct_path(model: Autoencoder, pairs: Iterable[Tensor]) -> None:
    """Begin with the best linear map from patches of the input to the target, where the network has one.

    Args:
        pairs: batches `(N, C + T, H, W)` of floats in [0, 1].
    """
    layer = model.encoder.direct
    if layer is None:
        return
    fitted = PatchMap(layer.kernel_size[0]).fit(
        (both[:, : model.channels], both[:, model.channels :]) for both in pairs
    )
    assert fitted.weight is not None and fitted.bias is not None and layer.bias is not None
    layer.weight.copy_(fitted.weight)
    layer.bias.copy_(fitted.bias)


@torch.no_grad()
def init_code_projection(model: Autoencoder, images: Tensor) -> None:
    """Begin with the principal components of the encoder's last features as the code, each of variance 1.

    The random projection that a network is built with mixes them, at a scale that a decoder does not see at
    first: a short training is over before the code tells images apart (compare the data-dependent first
    weights of Krähenbühl et al. 2016). Units beyond the number of images keep their random directions.
    A network without a linear layer before its code stays as it is.

    Args:
        images: `(N, C, H, W)` floats in [0, 1] of the model's size; a few hundred are enough.
    """
    layer = model.encoder.projection
    if layer is None or len(images) < 2:
        return
    caught: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0].float()))
    try:
        model.eval().features(images)
    finally:
        handle.remove()
        model.train()
    features = torch.cat(caught)
    if not features.isfinite().all():
        return  # the training will name the image
    mean = features.mean(0)
    centred = features - mean
    deviation = (centred @ layer.weight.T).std(0).clamp_min(1e-6)
    weight = layer.weight / deviation[:, None]
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    # The sign of a component is free: of each the largest number is made positive, so that images that differ
    # by rounding alone begin alike.
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * largest.sign()
    spread = singular / len(features) ** 0.5
    # What rounding left of a component that is none would be blown up to variance 1.
    count = min(len(weight), int((spread > 1e-3 * spread[0]).sum()))
    weight[:count] = directions[:count] / spread[:count, None]
    layer.weight.copy_(weight)
    layer.bias.copy_(-(weight @ mean))
