"""Why a loss stopped being a number: an image, a weight, the learning rate, or the precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.errors import Hint
from isthmus.images.store import ImageSet
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.players import Player

GROWN = 10.0  # a loss this many times its lowest was on its way to infinity
FAR = 10.0  # a learning rate this many times the usual one


@dataclass(frozen=True)
class Breakdown:
    """What is known when a loss is no longer a number.

    Attributes:
        step: the first step with such a loss, counted from 0; `losses`: of that step, by player and term.
        before: the losses of the steps before, oldest first, as far as they are still known.
        precision: that the networks ran in.
        broken_images: names of images with NaN or infinity among their pixels.
    """

    step: int
    losses: Mapping[str, float]
    before: Sequence[Mapping[str, float]]
    precision: str
    broken_images: Sequence[str]


def cause(broken: Breakdown, players: Sequence[Player]) -> Finding:
    """The likeliest reason, and the setting to change."""
    totals = {player.name for player in players}
    bad = [name for name, value in broken.losses.items() if not math.isfinite(value)]
    first = next((name for name in bad if name not in totals), bad[0])  # a term says more than the sum
    value = broken.losses[first]
    observation = f"the loss '{first}' became {value} at step {broken.step + 1}"
    if broken.broken_images:
        names = ", ".join(broken.broken_images[:3])
        count = len(broken.broken_images)
        text = f"{observation}: NaN or infinity among the pixels of {names}" + (
            f" and {count - 3} more" if count > 3 else ""
        )
        return Finding("not-a-number", "problem", text, Hint("leaving these images out"))
    player = _owner(first, players)
    heavy = _heavy(player, broken.losses)
    if heavy is not None:
        key, weight, name = heavy
        text = f"{observation}: the weight {weight:g} of '{name}' is too large"
        return Finding("not-a-number", "problem", text, change_setting(f"{key}=1"))
    rate, usual = player.optimiser.peak_rate, player.optimiser.usual_rate
    key = "critic.rate" if player.name == "critic" else "optimiser.rate"
    grew = _growth(first, broken) > GROWN or rate > FAR * usual
    if broken.precision == "bfloat16" and not grew:
        text = f"{observation} from one step to the next: bfloat16 is likely too coarse here"
        return Finding("not-a-number", "problem", text, Hint.add(precision="float32"))
    text = f"{observation}: the learning rate {rate:g} is likely too high"
    return Finding("not-a-number", "problem", text, change_setting(f"{key}={rate / 4:.2g}"))


def broken_images(*sets: ImageSet | None) -> list[str]:
    """Names of the images with a pixel that is no number; only floats can have one."""
    return [name for images in sets if images is not None for name in _broken(images)]


def _broken(images: ImageSet) -> Iterator[str]:
    if images.dtype != np.float32:
        return
    for index in range(len(images)):
        if not np.isfinite(images.image(index)).all():
            yield images.names[index]


def _owner(name: str, players: Sequence[Player]) -> Player:
    for player in players:
        if name == player.name or any(term.name == name for term in player.objective.terms):
            return player
    return players[0]


def _heavy(player: Player, losses: Mapping[str, float]) -> tuple[str, float, str] | None:
    """`(setting, weight, term)` when all terms are numbers and only their weighted sum is not."""
    if math.isfinite(losses.get(player.name, math.nan)):
        return None
    terms = [term for term in player.objective.terms if term.name in losses]
    if not terms or not all(math.isfinite(losses[term.name]) for term in terms):
        return None
    term = max(terms, key=lambda term: abs(term.weight * losses[term.name]))
    key = "bottleneck.weight" if term.per_image else "objective.weight"
    key = {"fool_critic": "critic.weight", "features": "critic.features"}.get(term.name, key)
    return key, term.weight, term.name


def _growth(name: str, broken: Breakdown) -> float:
    finite = [losses[name] for losses in broken.before if math.isfinite(losses.get(name, math.nan))]
    return abs(finite[-1]) / max(min(map(abs, finite)), 1e-12) if finite else 1.0
