"""Players: who minimises what with which parameters. The loop knows nothing else about a model.

A plain autoencoder is one player. An adversarial autoencoder is two, a VAE-GAN three (encoder, decoder,
critic), each with its own gradient route: a player's loss reaches its own parameters only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.objective import Objective, code_terms, image_terms
from isthmus.model.trace import Trace


@dataclass(frozen=True)
class Player:
    """`parameters` are moved by `optimiser` to make `objective` small."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    objective: Objective
    optimiser: axes.Optimiser


class Learner(Protocol):
    """What the loop trains: a module with players, and a pass over a batch that they judge."""

    players: tuple[Player, ...]

    @property
    def module(self) -> nn.Module: ...

    def trace(self, images: Tensor, generator: torch.Generator, labels: Tensor | None) -> Trace: ...

    def set_precision(self, precision: torch.dtype) -> None: ...


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
    # Memory makes the two-player game circle, so the critic's Adam forgets faster (Radford et al. 2016).
    optimiser = replace(recipe.optimiser, rate=recipe.critic.rate, momentum=0.5, clip=0.0)
    return (*judged, Player("critic", _parameters(model.critic), Objective(game.critic), optimiser))


def _parameters(*modules: nn.Module) -> tuple[nn.Parameter, ...]:
    return tuple(p for module in modules for p in module.parameters() if p.requires_grad)


def gradients(
    players: Sequence[Player], trace: Trace, progress: float, share: float
) -> tuple[list[tuple[Tensor | None, ...]], dict[str, Tensor]]:
    """Each player's gradients for its own parameters, and the batch means of all losses and terms.

    All players judge the same pass; nobody moves before everybody's gradients are known. `share` scales the
    losses when a batch is taken in chunks.
    """
    found: list[tuple[Tensor | None, ...]] = []
    logged: dict[str, Tensor] = {}
    losses = []
    for player in players:
        per_image, parts = player.objective(trace, progress)
        losses.append(per_image.mean())
        logged[player.name] = losses[-1].detach()
        logged |= parts
    for i, (player, loss) in enumerate(zip(players, losses, strict=True)):
        last = i == len(players) - 1
        found.append(
            torch.autograd.grad(loss * share, player.parameters, retain_graph=not last, allow_unused=True)
        )
    return found, logged
