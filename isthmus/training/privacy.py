"""The guarantee of a private training: how much any one image may change the model, and the noise for it.

(ε, δ)-differential privacy (Dwork and Roth 2014, definition 2.4) by DP-SGD (Abadi et al. 2016, algorithm 1).
The unit is one image, added or removed. Each image is drawn for a step independently with the same
probability (Poisson sampling), as the accountant assumes. The accountant is that of Opacus (extra `privacy`),
by Rényi divergences (Mironov, Talwar and Zhang 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from isthmus.errors import CapabilityError, Hint, MissingExtraError, UsageError
from isthmus.messages import Message
from isthmus.model.axes.point import Refusal
from isthmus.model.recipe import Recipe
from isthmus.training.config import TrainConfig
from isthmus.wording import format_count

CLIP = 1e-3
LARGEST_BATCH, STEPS_PER_PASS = 1024, 16
_MOST = 1000.0
# A small ε is proved with orders beyond the 63 of Opacus.
_ORDERS = [1 + x / 10 for x in range(1, 100)] + [float(x) for x in (*range(11, 64), 80, 128, 256, 512, 1024)]


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """The terms of a private training, fixed before the first step.

    Attributes:
        epsilon, delta: what the whole training spends at most.
        clip: largest norm of one image's gradient.
        noise: standard deviation of the noise on a step's summed gradient, in units of `clip`.
        rate: chance of each image to be in a step.
        seed: of noise and draws; with None they come from the operating system and cannot be repeated.
    """

    epsilon: float
    delta: float
    clip: float
    noise: float
    rate: float
    seed: int | None = None

    def spent(self, steps: int) -> float:
        """ε after so many steps, at `delta`."""
        return _epsilon(self.noise, self.rate, steps, self.delta)

    def describe(self, steps: int) -> dict[str, Any]:
        """What a model's summary says of it, as JSON values."""
        return {
            **{("asked" if name == "epsilon" else name): value for name, value in asdict(self).items()},
            "epsilon": self.spent(steps),
            "steps": steps,
            "unit": "image",
            "sampling": "poisson",
            "accountant": "rdp",
        }


def check_extra() -> None:
    """Raises:
    MissingExtraError: Opacus is not installed.
    """
    if find_spec("opacus") is None:
        raise MissingExtraError("a private training", "privacy")


def choose_private_batch(count: int, usual: int) -> int:
    """The default number of images per step, on average: many, because the noise does not grow with it."""
    return min(count, max(usual, min(LARGEST_BATCH, count // STEPS_PER_PASS)))


def plan_privacy(config: TrainConfig, *, count: int, batch: int, steps: int) -> PrivacyPlan | None:
    """The least noise with which `steps` steps of `batch` of `count` images spend at most `config.private`.

    By default δ is 1/(10 `count`) and the clip norm `CLIP`. None where no budget is asked for.

    Raises:
        UsageError: a `delta` that protects nobody, or a budget that no noise reaches.
    """
    if config.private is None:
        return None
    check_extra()
    delta = 1 / (10 * count) if config.delta is None else config.delta
    if delta >= 1 / count:
        raise UsageError(
            "delta {delta:g} would allow one of {images} to be revealed: it must be below 1/{count}",
            id="training.delta-too-large",
            delta=delta,
            images=format_count(count, "image"),
            count=count,
        )
    rate = min(1.0, batch / count)
    return PrivacyPlan(
        epsilon=config.private,
        delta=delta,
        clip=config.clip_norm or CLIP,
        noise=_noise(config.private, delta, rate, steps),
        rate=rate,
        seed=config.noise_seed,
    )


def describe_privacy(terms: PrivacyPlan, steps: int, *, val: bool) -> list[str]:
    """The terms in words, one line each."""
    said: list[str] = [
        Message(
            "private: ε {epsilon:.4g} at δ {delta:.3g} for any one image, by noise of "
            "{noise:.4g} times the clip norm {clip:g} in each of {steps}, which draw every "
            "image with chance {rate:.4g}",
            id="choice.private",
            epsilon=terms.spent(steps),
            delta=terms.delta,
            noise=terms.noise,
            clip=terms.clip,
            steps=format_count(steps, "step"),
            rate=terms.rate,
        )
    ]
    if terms.seed is not None:
        said.append(
            Message(
                "a person who knows the noise seed can draw the same noise: ε holds only against all others",
                id="choice.private-seed",
            )
        )
    if val:
        said.append(
            Message(
                "images to validate on choose the weights and are not protected",
                id="choice.validation-not-protected",
            )
        )
    return said


def check_private(recipe: Recipe, *, balance: bool, processes: int) -> None:
    """Raises:
    CapabilityError: a part of this training uses images without noise; the hint names an option that does
        not.
    """
    for refusal in _refusals(recipe, balance=balance, processes=processes):
        reason, change = refusal.reason, refusal.change
        hint = Hint.add(settings=(change,)) if "=" in change else Hint(change) if change else None
        raise CapabilityError(
            "this recipe cannot train privately: {reason}",
            id="training.not-private",
            hint=hint,
            reason=reason,
        )


def _refusals(recipe: Recipe, *, balance: bool, processes: int) -> Iterator[Refusal]:
    for point in (recipe.critic, recipe.backbone, recipe.bottleneck, recipe.corruption, recipe.positions):
        if (refusal := point.private_refusal()) is not None:
            yield refusal
    for term in recipe.objective.terms:
        if not term.is_per_image:
            yield Refusal(
                Message(
                    "image term '{name}' does not declare that it is computed for each image separately",
                    id="private.image-term",
                    name=term.name,
                )
            )
    if balance:
        yield Refusal(
            Message(
                "balanced classes draw images of rare ones more often than accounted for",
                id="private.balance",
            )
        )
    if processes > 1:
        yield Refusal(Message("images are drawn and noise is added in one process", id="private.processes"))


@lru_cache(maxsize=64)  # a search of a second
def _noise(epsilon: float, delta: float, rate: float, steps: int) -> float:
    if not 0 < epsilon <= _MOST:
        raise UsageError(
            "private={epsilon:g}: the privacy budget ε must be above 0 and at most {most:g}",
            id="training.private-range",
            epsilon=epsilon,
            most=_MOST,
        )
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about orders that would prove a little more
            multiplier = get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=rate,
                steps=steps,
                accountant="rdp",
                epsilon_tolerance=min(0.01, epsilon / 100),
                alphas=_ORDERS,
            )
    except ValueError:
        multiplier = None
    if multiplier is None:
        raise UsageError(
            "no noise gives ε {epsilon:g} at δ {delta:g} after {steps}: take fewer steps",
            id="training.no-noise-enough",
            steps=format_count(steps, "step"),
            epsilon=epsilon,
            delta=delta,
        )
    return float(multiplier)


@lru_cache(maxsize=64)
def _epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, rate, steps)] if steps else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta, alphas=_ORDERS))
