"""Checks of a resumed training: only its length may differ from the request that it began with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from isthmus.errors import UsageError
from isthmus.messages import Message
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import resolve_recipe
from isthmus.training.config import LENGTHS, TrainConfig
from isthmus.training.data import TrainingData
from isthmus.training.plan import TrainPlan, steps_of_request, with_length
from isthmus.training.schedule import Schedule
from isthmus.training.trainer import Trainer
from isthmus.wording import format_count


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """The request of a training and the fingerprints of its images, stored for resuming.

    Attributes:
        recipe: with every choice that depends on the images.
        config: the request.
        source, fingerprint: of the images to train on; held_out: fingerprint of those to validate on.
        threads: that the training began with.
    """

    recipe: Recipe
    config: TrainConfig
    source: str
    fingerprint: str
    held_out: str | None
    threads: int = field(default_factory=torch.get_num_threads)

    @classmethod
    def of(cls, recipe: Recipe, config: TrainConfig, data: TrainingData) -> TrainRecord:
        held_out = None if data.held_out is None else data.held_out.fingerprint()
        train = data.train
        return cls(
            recipe=recipe,
            config=config,
            source=train.source,
            fingerprint=train.fingerprint(),
            held_out=held_out,
        )

    def to_dict(self, plan: TrainPlan) -> dict[str, Any]:
        """Record and plan as a training state holds them."""
        return {
            "recipe": self.recipe.to_dict(),
            "settled": plan.to_dict(),
            "options": self.config.to_dict(),
            "source": self.source,
            "fingerprint": self.fingerprint,
            "held_out": self.held_out,
            "threads": self.threads,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> tuple[TrainRecord, TrainPlan]:
        """The inverse of `to_dict`.

        Raises:
            IsthmusError, LookupError, TypeError, ValueError: these are no record and plan.
        """
        config = TrainConfig.from_dict(data["options"])
        record = cls(
            recipe=Recipe.from_dict(data["recipe"]),
            config=config,
            **{name: data[name] for name in ("source", "fingerprint", "held_out", "threads")},
        )
        return record, TrainPlan.from_dict(data["settled"], config)


@dataclass(frozen=True)
class Request:
    """The request of a call with `resume`: only the length may differ from the unfinished training."""

    config: TrainConfig = field(default_factory=TrainConfig)
    recipe: str | Recipe | None = None
    code: str | None = None
    settings: Iterable[str] | Mapping[str, Any] = ()


NO_REQUEST = Request()


FREE = ("cache", "checkpoint_seconds")
"""Options that change nothing which is trained; they are taken from the record all the same."""


def check_request(record: TrainRecord, request: Request) -> None:
    """Refuse a request that differs from what the unfinished training began with.

    An option at its default counts as not given. Lengths are compared by `extend`.

    Raises:
        UsageError: it differs; the message names the field.
    """
    default = TrainConfig()
    for name in (f.name for f in fields(TrainConfig) if f.name not in (*LENGTHS, *FREE)):
        requested, began = getattr(request.config, name), getattr(record.config, name)
        if requested not in (getattr(default, name), began):
            raise _differs(name, requested, began)
    if request.recipe is None and request.code is None and not request.settings:
        return
    first = record.recipe if request.recipe is None else request.recipe
    asked = resolve_recipe(first, request.code, request.settings)
    _compare_recipes(asked, record.recipe)


def extend(trainer: Trainer, record: TrainRecord, config: TrainConfig) -> tuple[Trainer, TrainRecord]:
    """Go on to another length where one is given: the schedule so far stays, the rest is planned again.

    Raises:
        UsageError: the length is shorter than what was trained, or of another kind; or the training is
            private.
    """
    if config.length is None or config.length == record.config.length:
        return trainer, record
    name, value = config.length
    plan, state, recipe = trainer.plan, trainer.state, record.recipe
    steps = 0
    if name != "minutes" and plan.minutes is None:
        steps, _ = steps_of_request(config, recipe, len(trainer.data.train), plan.batch)
        if steps == trainer.schedule.steps:
            return trainer, record
    if plan.privacy is not None:
        raise UsageError(
            "cannot resume with another length ({name}): the noise of a private training is "
            "calibrated to its {steps}",
            id="training.resume-private-length",
            name=name,
            steps=format_count(plan.steps, "step"),
        )
    if (name == "minutes") != (plan.minutes is not None):
        began = ("minutes", plan.minutes) if plan.minutes is not None else ("steps", plan.steps)
        raise _differs(name, value, f"{began[1]:g} {began[0]}")
    own = record.config
    longer = replace(own, epochs=config.epochs, minutes=config.minutes, steps=config.steps)
    record = replace(record, config=longer)
    if name == "minutes":
        trainer.plan = replace(plan, minutes=value)
        _extend_budget(trainer, 60 * value)
        return trainer, record
    if steps <= state.step:
        raise UsageError(
            "cannot resume with {name}={value:g}: the training has already taken {steps}",
            id="training.resume-shorter",
            name=name,
            value=value,
            steps=format_count(state.step, "step"),
        )
    trainer.plan = _lengthen(plan, steps, trainer, record)
    trainer.schedule = (
        trainer.schedule.replan(state.step, [(steps, 1.0)]) if state.step else Schedule.linear(steps)
    )
    state.knots = trainer.schedule.to_json()
    return trainer, record


def _lengthen(plan: TrainPlan, steps: int, trainer: Trainer, record: TrainRecord) -> TrainPlan:
    note = Message(
        "resumed with {steps} instead of {planned:,}",
        id="choice.resumed-longer",
        steps=format_count(steps, "step"),
        planned=plan.steps,
    )
    return with_length(plan.with_notes(note), steps, record.recipe, record.config, trainer.data)


def _extend_budget(trainer: Trainer, seconds: float) -> None:
    budget = trainer.budget
    assert budget is not None
    if seconds <= budget.used:
        raise UsageError(
            "cannot resume with minutes={seconds:g}: the training has already taken {used:.3g}",
            id="training.resume-minutes",
            seconds=seconds / 60,
            used=budget.used / 60,
        )
    budget.seconds = seconds
    if trainer.state.knots:
        trainer.plan_rest()


def _compare_recipes(asked: Recipe, began: Recipe) -> None:
    """Raises:
    UsageError: they differ in more than their names, or what was chosen from the images.
    """
    requested, stored = asked.to_dict(), began.to_dict()
    if asked.code == "auto":
        requested["code"] = stored["code"]
    if asked.corruption.needs_noise_level and "sigma" in stored["corruption"]:
        requested["corruption"] = {**requested["corruption"], "sigma": stored["corruption"]["sigma"]}
    names = requested.pop("name"), stored.pop("name")
    if began.corruption.is_paired and (
        asked.corruption.is_identity
        or (asked.corruption.is_paired and asked.corruption.target_channels is None)
    ):
        requested["corruption"] = stored["corruption"]  # it follows from the targets
    if requested == stored:
        return
    if names[0] != names[1]:
        raise _differs("recipe", *names)
    for axis, value in requested.items():
        if value == stored[axis]:
            continue
        if not isinstance(value, dict):
            raise _differs(axis, value, stored[axis])
        keys = [key for key in {**value, **stored[axis]} if value.get(key) != stored[axis].get(key)]
        key = "kind" if "kind" in keys else keys[0]
        raise _differs(f"{axis}.{key}", value.get(key), stored[axis].get(key))


def _differs(field: str, value: object, began: object) -> UsageError:
    return UsageError(
        "cannot resume with {field}={value}: the unfinished training began with {began}, "
        "and only a longer length may be given",
        id="training.resume-field",
        field=field,
        value=value,
        began=began,
    )
