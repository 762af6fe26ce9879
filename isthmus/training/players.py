"""Players, which are losses with the parameters that minimise them; `GradientStrategy`: how gradients are
computed.

A plain autoencoder is one player. An adversarial autoencoder is two, a VAE-GAN three (encoder, decoder,
critic), each with its own gradient route: a player's loss reaches its own parameters only.

`step_seed` and `generator_for` give the random numbers of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus.images.batches import Batch, Batches
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.objective import Objective, code_terms, image_terms
from isthmus.model.trace import Trace
from isthmus.training.distributed import SINGLE_PROCESS, ProcessGroup
from isthmus.training.plan import TrainPlan

Logged = list[tuple[dict[str, Tensor], float]]
"""Losses and terms of each pass of a step, and the pass's share of the step."""


@dataclass(frozen=True)
class Player:
    """`parameters` are moved by `optimiser` to make `objective` small."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    objective: Objective
    optimiser: axes.Optimiser


class Learner(Protocol):
    """What the loop trains: a module with players, and a pass over a batch from which they compute their
    losses.
    """

    players: tuple[Player, ...]

    @property
    def module(self) -> nn.Module: ...

    def trace(self, images: Tensor, generator: torch.Generator, labels: Tensor | None) -> Trace: ...

    def set_precision(self, precision: torch.dtype) -> None: ...


CHUNK_PIXELS = 2**21  # pixel-channels per forward pass of full-batch descent; larger batches go in chunks


class AutoencoderLearner:
    """An autoencoder and its players, as its recipe says."""

    def __init__(self, model: Autoencoder) -> None:
        self.module = self.model = model
        self.players = players_of(model)

    def trace(self, images: Tensor, generator: torch.Generator, labels: Tensor | None) -> Trace:
        return self.model.trace(images, generator, labels=labels)

    def set_precision(self, precision: torch.dtype) -> None:
        self.model.precision = precision


def players_of(model: Autoencoder) -> tuple[Player, ...]:
    """The players that a model's recipe asks for."""
    recipe = model.recipe
    own = (*image_terms(recipe), *code_terms(model.bottleneck))
    encoder = _parameters(model.encoder, model.bottleneck)
    decoder = _parameters(model.decoder)
    if model.noise_log_sigma.requires_grad:
        decoder = (*decoder, model.noise_log_sigma)
    if model.critic is None:
        return (Player("autoencoder", (*encoder, *decoder), Objective(own), recipe.optimiser),)
    game = model.critic.game()
    first = Objective((*own, *game.encoder))
    if game.decoder is None:
        judged: tuple[Player, ...] = (Player("autoencoder", (*encoder, *decoder), first, recipe.optimiser),)
    else:
        second = Objective((*image_terms(recipe), *game.decoder))
        judged = (
            Player("encoder", encoder, first, recipe.optimiser),
            Player("decoder", decoder, second, recipe.optimiser),
        )
    # With much momentum a two-player game goes in circles, so the critic's Adam has less (Radford et al.
    # 2016).
    optimiser = replace(recipe.optimiser, rate=recipe.critic.rate, momentum=0.5, clip=0.0)
    return (*judged, Player("critic", _parameters(model.critic), Objective(game.critic), optimiser))


def _parameters(*modules: nn.Module) -> tuple[nn.Parameter, ...]:
    return tuple(p for module in modules for p in module.parameters() if p.requires_grad)


def gradients(
    players: Sequence[Player], trace: Trace, progress: float, share: float
) -> tuple[list[tuple[Tensor | None, ...]], dict[str, Tensor]]:
    """Each player's gradients for its own parameters, and the batch means of all losses and terms.

    All players use the same pass; no weight changes before all gradients are computed. `share` scales the
    losses when a batch is taken in chunks.
    """
    by_player: list[tuple[Tensor | None, ...]] = []
    logged: dict[str, Tensor] = {}
    losses = []
    for player in players:
        per_image, parts = player.objective(trace, progress)
        losses.append(per_image.mean())
        logged[player.name] = losses[-1].detach()
        logged |= parts
    for i, (player, loss) in enumerate(zip(players, losses, strict=True)):
        last = i == len(players) - 1
        by_player.append(
            torch.autograd.grad(loss * share, player.parameters, retain_graph=not last, allow_unused=True)
        )
    return by_player, logged


def accumulate_gradients(
    learner: Learner, batch: Batch, generator: torch.Generator, progress: float
) -> Logged:
    """Leave every player's gradients of its mean loss over the batch in `parameter.grad`.

    Full-batch descent goes through the network in chunks. A batch that is a part of a larger one has that
    part's share of the gradients and losses.

    Returns:
        Losses and terms of each chunk, and the chunk's share of the whole batch.
    """
    players = learner.players
    images = batch.images.to(generator.device)
    labels = None if batch.labels is None else batch.labels.to(generator.device)
    size = max(1, CHUNK_PIXELS // images[0].numel()) if takes_chunks(learner) else len(images)
    for player in players:
        for parameter in player.parameters:
            parameter.grad = None
    logged: Logged = []
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        share = len(chunk) / batch.total
        trace = learner.trace(chunk, generator, None if labels is None else labels[start : start + size])
        parts, losses = gradients(players, trace, progress, share)
        for player, grads in zip(players, parts, strict=True):
            for parameter, grad in zip(player.parameters, grads, strict=True):
                if grad is not None:
                    parameter.grad = grad if parameter.grad is None else parameter.grad + grad
        logged.append((losses, share))
    return logged


def takes_chunks(learner: Learner) -> bool:
    """Whether a step takes all images, in as many passes as memory asks for."""
    return learner.players[0].optimiser.takes_all_images


class GradientStrategy:
    """How the gradients of a step are computed, and by which processes.

    This one works in one process: gradients of the batch's mean losses.

    Attributes:
        group: the processes that share every step.
        is_private: whether losses of single images must stay unseen.
    """

    group: ProcessGroup = SINGLE_PROCESS
    is_private = False

    @property
    def part(self) -> tuple[int, int]:
        """`(i, n)`: this process reads the i-th of n parts of every batch and validation."""
        return self.group.number, self.group.count

    def open_batches(self, images: ImageSet, plan: TrainPlan) -> Batches:
        """The batches that the steps take."""
        return plan.open_batches(images, share=self.part)

    def backward(
        self,
        learner: Learner,
        batch: Batch,
        step: int,  # noqa: ARG002
        seed: int,
        progress: float,
    ) -> Logged:
        """Leave the gradients of the whole step in `parameter.grad`; give its losses.

        Args:
            batch: this process's part.
            step: number of the step, from 0. seed: of everything random in it.
            progress: share of the training that is done, in [0, 1].
        """
        return accumulate_gradients(learner, batch, generator_for(learner, seed), progress)


def sum_passes(logged: Logged) -> dict[str, float]:
    """The losses of one step, from its passes and their shares."""
    return {name: sum(float(parts[name]) * share for parts, share in logged) for name in logged[0][0]}


def generator_for(learner: Learner, seed: int) -> torch.Generator:
    """A generator with this seed on the learner's device."""
    return torch.Generator(device=next(learner.module.parameters()).device).manual_seed(seed)


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed from two numbers, well mixed (splitmix64; Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1
