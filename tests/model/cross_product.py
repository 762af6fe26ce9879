"""The whole product space: backbone × positions × corruption × bottleneck × critic × code shape.

    python -m tests.model.cross_product          trains every allowed combination for two steps (minutes)

`allowed` states the rules of the product space a second time, independently of `isthmus.model.capabilities`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from isthmus.errors import CapabilityError
from isthmus.model import axes, capabilities
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipe import Recipe
from isthmus.training.optimisers import build_optimiser
from isthmus.training.players import gradients, players_of

BACKBONES = ("dense", "conv", "stacked", "recurrent", "attention", "filters", "unet", "components")
POSITIONS = ("none", "coordinates", "sinusoidal", "learned")
CORRUPTIONS = (
    "none", "gaussian", "salt-pepper", "poisson", "mask", "blur", "jpeg", "recorrupted", "blind-spot",
    "real-noise", "pairs", "synthetic-defects",
)  # fmt: skip
BOTTLENECKS = (
    "plain", "l2", "l1", "kl-sparse", "top-k", "l0", "contractive", "gaussian", "quantised", "entropy"
)  # fmt: skip
CRITICS = ("none", "on-codes", "on-images")
CODES = ("6", "6@4")

SIZE = (9, 10)  # neither side is a multiple of the code's stride
BATCH = 3


@dataclass(frozen=True)
class Combination:
    backbone: str
    positions: str
    corruption: str
    bottleneck: str
    critic: str
    code: str

    def recipe(self) -> Recipe:
        thin = {
            "dense": ["backbone.width=12"],
            "conv": ["backbone.width=4", "backbone.blocks=1"],
            "stacked": ["backbone.width=4-4"],
            "recurrent": ["backbone.width=8"],
            "attention": ["backbone.width=8", "backbone.depth=1", "backbone.heads=2"],
            "filters": ["backbone.side=5"],
            "unet": ["backbone.width=4-4"],  # at half the side of the image
            "components": ["backbone.width=4-4", "backbone.blocks=1", "backbone.stem=2"],
        }[self.backbone]
        if self.corruption == "synthetic-defects":
            thin += ["corruption.clean=0", "objective.image=mse+mask-bce+mask-dice+mask-focal+mask-image"]
        if self.bottleneck == "top-k":
            thin.append("bottleneck.k=2")
        if self.corruption == "recorrupted":
            thin.append("corruption.sigma=20")
        if self.positions == "learned":
            thin.append("positions.channels=2")
        if self.critic != "none":
            thin.append("critic.width=4")
        kinds = [f"{axis}={getattr(self, axis)}" for axis in AXES]
        return Recipe(code=self.code).with_settings([*kinds, *thin])

    def allowed(self) -> bool:
        """The rules, stated once more."""
        grid = "@" in self.code
        if self.backbone in ("dense", "recurrent", "components") and grid:
            return False
        if self.backbone in ("dense", "components") and self.positions != "none":
            return False
        if self.backbone == "components" and self.corruption in ("pairs", "synthetic-defects"):
            return False
        if self.backbone == "filters" and not (grid and self.positions == "none"):
            return False
        if self.backbone == "filters" and self.corruption in ("pairs", "synthetic-defects"):
            return False
        # Its decoder needs the grids of the encoder, so a code that says something is refused.
        if self.backbone == "unet" and not (grid and self.bottleneck == "plain" and self.critic == "none"):
            return False
        # Patches of a vector code, and hidden patches, are told apart by their positions alone.
        if (
            self.backbone == "attention"
            and self.positions == "none"
            and (not grid or self.corruption == "mask")
        ):
            return False
        # What a critic compares with is a normal distribution, of which codes or images must be draws.
        return (
            self.bottleneck
            in {
                "none": set(BOTTLENECKS),
                "on-codes": {"plain", "l2"},
                "on-images": {"gaussian"},
            }[self.critic]
        )


AXES = ("backbone", "positions", "corruption", "bottleneck", "critic")


def everything() -> Iterator[Combination]:
    for values in itertools.product(BACKBONES, POSITIONS, CORRUPTIONS, BOTTLENECKS, CRITICS, CODES):
        yield Combination(*values)


def covering() -> list[Combination]:
    """A deterministic part of the allowed combinations.

    It holds every pair of values of two axes that any allowed combination holds, every (backbone, bottleneck,
    code) and every (backbone, corruption, positions).
    """
    groups = [*itertools.combinations((*AXES, "code"), 2)]
    wide = [("backbone", "bottleneck", "code"), ("backbone", "corruption", "positions")]
    candidates = [c for c in everything() if c.allowed()]

    def covered(c: Combination) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
        return {(names, tuple(getattr(c, n) for n in names)) for names in (*groups, *wide)}

    holds = {c: covered(c) for c in candidates}
    missing = set().union(*holds.values())
    chosen = []
    while missing:
        best = max(candidates, key=lambda c: len(holds[c] & missing))
        chosen.append(best)
        missing -= holds[best]
    return chosen


def unmoved(model: Autoencoder) -> set[str]:
    """Parameters without a part in the objective: the stand-in of hidden tokens where nothing is hidden."""
    idle = {name for name, p in model.named_parameters() if not p.requires_grad}
    if not isinstance(model.recipe.corruption, axes.Mask):
        idle.add("encoder.hidden")
    return idle


def train_two_steps(recipe: Recipe) -> Autoencoder:
    """Two steps of every player, as the loop takes them; asserts what must hold for each."""
    model = build(recipe, channels=1, size=SIZE, seed=1).train()
    images = torch.rand(BATCH, 1, *SIZE, generator=torch.Generator().manual_seed(2))
    players = players_of(model)
    optimisers = [build_optimiser(p) for p in players]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    moved: set[str] = set()
    names = {id(p): name for name, p in model.named_parameters()}
    for step in range(2):
        trace = model.trace(images, torch.Generator().manual_seed(step))
        player_gradients, losses = gradients(players, trace, 0.5, 1.0)
        assert all(bool(value.isfinite()) for value in losses.values()), losses
        for player, grads, optimiser in zip(players, player_gradients, optimisers, strict=True):
            for parameter, grad in zip(player.parameters, grads, strict=True):
                parameter.grad = grad
                if grad is not None:
                    assert bool(grad.isfinite().all()), names[id(parameter)]
                    moved.add(names[id(parameter)])
            optimiser.step()
    lacking = set(before) - moved - unmoved(model)
    assert not lacking, f"no gradient for {sorted(lacking)}"
    assert any(not torch.equal(before[name], p) for name, p in model.named_parameters())
    again = model.eval().reconstruct(images)
    assert again.shape == images.shape
    assert bool(again.isfinite().all())
    assert 0 <= float(again.min()) <= float(again.max()) <= 1
    return model


def refused(combination: Combination) -> str | None:
    """The reason why a combination is refused, which building must give too."""
    reason = capabilities.refusal(combination.recipe())
    if reason is not None:
        try:
            build(combination.recipe(), channels=1, size=SIZE)
        except CapabilityError as error:
            assert error.message == reason
        else:
            raise AssertionError(f"{combination} was built")
    return reason


def main() -> None:
    torch.set_num_threads(1)
    trained = turned_away = 0
    for combination in everything():
        if refused(combination) is not None:
            assert not combination.allowed(), combination
            turned_away += 1
            continue
        assert combination.allowed(), combination
        try:
            train_two_steps(combination.recipe())
        except Exception as error:
            raise AssertionError(f"{combination} does not train: {error}") from error
        trained += 1
    print(f"{trained} combinations trained, {turned_away} refused")


if __name__ == "__main__":
    main()
