"""First weights: random, from the training images, or those of another model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.images.batches import iter_batches
from isthmus.images.cache import memory_bytes
from isthmus.images.conform import conform
from isthmus.images.store import ImageSet, side_range
from isthmus.images.subsets import even_rows, random_pieces, sample_evenly
from isthmus.machine import best_device
from isthmus.messages import Message
from isthmus.metrics.baselines import PatchMap
from isthmus.model.allocation import TooLargeError, at_most, weights_bytes
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import PAIRED_RECIPE, transform_pairs
from isthmus.model.tensors import pad_to_size, round_up_size

MAX_SEEN_IMAGES = 256
MEAN_PIXELS = 2**23
MAX_COMPONENT_IMAGES = 8192
FITTED_PIXELS = 2**19  # that a linear map of patches is fitted to, of evenly spaced pairs
PASS_PIXELS = 2**16


def build_for_images(
    recipe: Recipe, images: ImageSet, size: tuple[int, int], seed: int, *, look: bool = True
) -> Autoencoder:
    """An untrained model for these images, on the device that this machine trains on.

    Args:
        recipe: with a code that is not `auto`.
        size: `(H, W)` of training examples in pixels.
        seed: of the random weights.
        look: whether the output may start at the images' mean colour; otherwise it starts at gray.

    Raises:
        UsageError: its weights would not fit into this machine's memory.
    """
    model = _build_within_memory(recipe, images.input_channels, size, seed)
    if not look:
        model.start_at(torch.full((images.channels,), 0.5), torch.tensor(0.25))
        return model.to(best_device())
    model.start_at(*_measure_colour(images))
    if images.target_channels:
        init_direct_path(model, pair_batches(images))
    request = recipe.backbone.initial_patches(recipe.geometry)
    if request is not None:
        patches = random_pieces(images, request.side, request.count, seed=seed)
        init_filters(model, torch.from_numpy(patches), seed)
    if recipe.backbone.starts_at_components:
        init_components(model, images, size, seed)
    return model.to(best_device())


def _build_within_memory(recipe: Recipe, channels: int, size: tuple[int, int], seed: int) -> Autoencoder:
    try:
        with at_most(memory_bytes() // 8):  # of 4 bytes each; training takes several times as many
            model = build(recipe, channels=channels, size=size, seed=seed)
    except TooLargeError:
        with torch.device("meta"):
            _check_memory(build(recipe, channels=channels, size=size, seed=seed), size)
        model = build(recipe, channels=channels, size=size, seed=seed)  # it fits after all
    _check_memory(model, size)
    return model


def _check_memory(model: Autoencoder, size: tuple[int, int]) -> None:
    # Checked before, because the system kills a process that takes too much memory without a message.
    recipe = model.recipe
    parameters = sum(p.numel() for p in model.parameters())
    needed, has = weights_bytes(parameters, recipe.optimiser), memory_bytes()
    if needed > has:
        raise UsageError(
            "a code of {code} for {height}×{width} images gives {parameters:,} parameters, "
            "whose training needs {needed_gib:,.0f} GiB; this machine has {has_gib:,.0f}: "
            "choose a smaller code, size or backbone.width",
            id="training.memory",
            code=recipe.code,
            height=size[0],
            width=size[1],
            parameters=parameters,
            needed_gib=needed / 2**30,
            has_gib=has / 2**30,
        )


def _measure_colour(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Mean of each channel `(C,)` and standard deviation around their mean, over some of the images."""
    some = _sample_seen(images)
    # Whole photographs come a few at a time, or their floats would fill the memory.
    height, width = side_range(some)[1]
    per_pass = max(1, min(64, MEAN_PIXELS // (height * width)))
    sums = [(b.images.mean((0, 2, 3)), b.images.square().mean()) for b in iter_batches(some, batch=per_pass)]
    mean = torch.stack([first for first, _ in sums]).mean(0)
    square = torch.stack([second for _, second in sums]).mean()
    return mean, (square - mean.square().mean()).clamp_min(0).sqrt()


def _sample_seen(images: ImageSet) -> ImageSet:
    """Images that first weights are fitted to. Rounded down, so that a seed gives the weights of 0.1."""
    return images.subset(even_rows(len(images), MAX_SEEN_IMAGES, round_down=True))


def recipe_of_start(start: ModelLike | None, *, paired: bool = False) -> str | Recipe:
    """The recipe where none is given: that of the model to start from, else `conv`.

    Args:
        start: the model to start from.
        paired: the training is on pairs: `transform-pairs`, with the network of a start that makes its inputs
            itself, as a denoiser does.

    Raises:
        ModelFileError: missing or damaged.
    """
    if start is None:
        return PAIRED_RECIPE if paired else "conv"
    recipe = load_shared(start).recipe
    if not paired or recipe.corruption.is_identity or recipe.corruption.is_paired:
        return recipe
    return replace(transform_pairs(), code=recipe.code, backbone=recipe.backbone)


def load_initial_weights(model: Autoencoder, start: ModelLike) -> None:
    """Give `model` the weights of another.

    A model of pairs can begin with one of single images: its network then sees what the linear map of
    patches has made of the input.

    Raises:
        ModelFileError: missing or damaged.
        UsageError: of another architecture.
    """
    other = load_shared(start)
    first, own = other.state_dict(), model.state_dict()
    if model.recipe.corruption.is_paired and not other.recipe.corruption.is_paired:
        part = model.encoder.weights_for_pairs(other.encoder.state_dict())
        first |= {f"encoder.{name}": weight for name, weight in part.items()}
    differing = [k for k in own if k not in first or first[k].shape != own[k].shape]
    if differing or len(first) != len(own):
        raise UsageError(
            "{start} has another architecture, so this training cannot start from it",
            id="training.other-architecture",
            hint=Hint("leave out recipe, code and backbone settings to use those of that model"),
            start=start,
        )
    model.load_state_dict(first)


def init_short(model: Autoencoder, images: ImageSet, crop: tuple[int, int] | None) -> tuple[str, ...]:
    """Start a short training of a plain vector code at the principal components of the images.

    Longer trainings find them by themselves, and start at random directions.

    Args:
        crop: `(H, W)` of examples where they are cut from larger images.

    Returns:
        A sentence about it; nothing where the recipe does not allow it.
    """
    recipe = model.recipe
    fits = recipe.bottleneck.may_start_at_components and recipe.optimiser.is_adaptive
    if not fits or model.encoder.projection is None:
        return ()
    pixels = torch.cat([batch.images for batch in iter_batches(_sample_seen(images), batch=64, crop=crop)])
    init_code_projection(model, pixels.to(next(model.parameters()).device))
    return (
        Message(
            "a short training: the code starts at the principal components of the encoder's features",
            id="choice.short",
        ),
    )


def init_components(model: Autoencoder, images: ImageSet, size: tuple[int, int], seed: int) -> None:
    """Begin with the principal components of images of `size (H, W)` as the code, each of variance 1."""
    some = conform(sample_evenly(images, MAX_COMPONENT_IMAGES), size=size, channels=None)
    extra = int(model.recipe.corruption.has_condition)

    def batches() -> Iterator[Tensor]:
        for batch in iter_batches(some, batch=500):
            x = pad_to_size(batch.images, round_up_size(size, model.multiple))
            yield F.pad(x, (0, 0, 0, 0, 0, extra))

    model.encoder.start_at_components(model.decoder, batches, seed)


def init_filters(model: Autoencoder, pieces: Tensor, seed: int) -> None:
    """Make the first weights of `pieces (n, C, side, side)`, where the backbone asked for some."""
    winning = model.recipe.bottleneck.kept_units
    model.encoder.start_with(model.decoder, pieces, winning=winning, seed=seed)


def pair_batches(pairs: ImageSet) -> Iterator[Tensor]:
    """Pairs `(N, C + T, H, W)` that a linear map is fitted to: evenly spaced, of large ones the middle."""
    if pairs.shape is not None:
        height, width = pairs.shape[:2]
    else:
        height, width = (min(image.shape[axis] for image in pairs) for axis in (0, 1))
    crop = min(height, 256), min(width, 256)
    size = crop[0] * crop[1]
    count = max(1, min(len(pairs), FITTED_PIXELS // size))
    rows = even_rows(len(pairs), count)
    for batch in iter_batches(pairs, rows, batch=max(1, PASS_PIXELS // size), crop=crop):
        yield batch.images


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

    A random projection mixes them at a scale that is too small for the decoder at first: a short training
    ends before the code distinguishes images (compare the data-dependent first weights of Krähenbühl et al.
    2016). Units beyond the number of images keep their random directions. A network without a linear layer
    before its code stays as it is.

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
    # Rounding errors of an empty component would be scaled up to variance 1.
    count = min(len(weight), int((spread > 1e-3 * spread[0]).sum()))
    weight[:count] = directions[:count] / spread[:count, None]
    layer.weight.copy_(weight)
    layer.bias.copy_(-(weight @ mean))
