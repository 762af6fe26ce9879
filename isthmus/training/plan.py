"""`TrainPlan`: everything that was chosen for a training before its first step, saved and reused on resume.

    config, recipe, images  ->  make_plan  ->  TrainPlan  ->  Trainer

A length in minutes has no number of steps yet; `with_length` adds one when the time of a step is known.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from isthmus.images.batches import Batches
from isthmus.images.store import ImageSet, Indices
from isthmus.machine import multiplies_bfloat16
from isthmus.messages import Message, describe_messages, restore_message
from isthmus.model.allocation import check_memory
from isthmus.model.attachment_check import sides, whole_number
from isthmus.model.recipe import Recipe
from isthmus.training.config import TrainConfig
from isthmus.training.crop_plan import SHORT_STEPS, CropPlan, choose_batch, choose_short_batch, epochs_of
from isthmus.training.data import TrainingData
from isthmus.training.privacy import PrivacyPlan, choose_private_batch, describe_privacy, plan_privacy
from isthmus.training.schedule import warmup_steps
from isthmus.wording import choose_word, format_count

STEPS_SHARE = 0.92  # of a length in minutes: reading, measuring, validations and checkpoints take the rest
VALIDATIONS = 40


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """What was chosen automatically or given, fixed before the first step.

    Attributes:
        size: `(H, W)` of training batches; is_crop: whether they are cut at random from larger images.
        batch, steps, validate_every: in images and steps; of a training in minutes the last two are a first
            estimate, see `isthmus.training.schedule.Schedule`; 0 steps: the time of one is not known yet.
        warmup_steps: before the end of these no weights are selected and no validation counts against
            patience, because losses jump there. Plans of version 0.1 have 0.
        precision: `float32` or `bfloat16`.
        notes: what was chosen and why, one line each.
        privacy: noise and clipping of a private training, or None.
        minutes: the time after which the training ends; None where its number of steps is fixed.
        patience, balance, augment_orientations, augment_mirror, checkpoint_seconds: as in `TrainConfig`, and
            stored there.
        step_seconds: measured time of a step, 0 where no choice depends on it; not stored.
    """

    size: tuple[int, int]
    is_crop: bool = False
    batch: int
    steps: int
    validate_every: int
    precision: str = "float32"
    seed: int = 0
    notes: tuple[str, ...] = ()
    privacy: PrivacyPlan | None = None
    minutes: float | None = None
    warmup_steps: int = 0
    patience: int = 0
    balance: bool = False
    augment_orientations: bool = False
    augment_mirror: bool = False
    checkpoint_seconds: float = 60.0
    step_seconds: float = 0.0

    @property
    def crop(self) -> tuple[int, int] | None:
        """`(H, W)` that examples are cut to, or None where images are taken whole."""
        return self.size if self.is_crop else None

    @property
    def is_short(self) -> bool:
        """Whether it is all warm-up: the end of its falling rate is its best part."""
        return self.minutes is None and self.warmup_steps >= self.steps

    def open_batches(
        self,
        images: ImageSet,
        *,
        seed: int | None = None,
        share: tuple[int, int] = (0, 1),
        drawn: Callable[[int], Indices] | None = None,
    ) -> Batches:
        """The stream of training batches, see `isthmus.images.batches.Batches`."""
        return Batches(
            images,
            batch=self.batch,
            seed=self.seed if seed is None else seed,
            crop=self.crop,
            balance=self.balance,
            orientations=8 if self.augment_orientations else 2 if self.augment_mirror else 1,
            share=share,
            drawn=drawn,
        )

    def with_notes(self, *notes: str) -> TrainPlan:
        return replace(self, notes=(*self.notes, *notes))

    def to_dict(self) -> dict[str, Any]:
        """The plan as files and summaries hold it, under the names of version 0.1."""
        stored = dataclasses.asdict(self)
        named = {_STORED_NAMES.get(name, name): stored[name] for name in _STORED}
        return {**named, "messages": describe_messages(self.notes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any], config: TrainConfig) -> TrainPlan:
        """The inverse of `to_dict`, with what the configuration stores.

        Raises:
            LookupError, TypeError, ValueError: it is no such plan.
        """
        sides(data, "size", count=(2, 2), high=2**24)
        for name in ("batch", "steps", "validate_every"):
            whole_number(data, name, 1, 10**9)
        if "warmup_steps" in data:
            whole_number(data, "warmup_steps", 0, 10**9)
        if data["precision"] not in ("float32", "bfloat16"):
            raise ValueError("its precision is not known")
        terms = data.get("privacy")
        values = {_CURRENT_NAMES.get(name, name): value for name, value in data.items()}
        described = values.pop("messages", None)
        values |= {"size": tuple(data["size"])}
        values |= {"notes": tuple(restore_message(note, described) for note in data["notes"])}
        values |= {"privacy": None if terms is None else PrivacyPlan(**terms)}
        return cls(**values, **_from_config(config))


_STORED_NAMES = {"is_crop": "crop"}
_CURRENT_NAMES = {"crop": "is_crop"}
_FROM_CONFIG = ("patience", "balance", "augment_orientations", "augment_mirror", "checkpoint_seconds")
_STORED = tuple(
    f.name for f in dataclasses.fields(TrainPlan) if f.name not in (*_FROM_CONFIG, "step_seconds")
)


def _from_config(config: TrainConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _FROM_CONFIG}


# ------------------------------------------------------------ from a request to a plan


def make_plan(
    data: TrainingData,
    crops: CropPlan,
    config: TrainConfig,
    *,
    processes: int = 1,
    device: torch.device,
) -> TrainPlan:
    """Choose everything that follows from the request, the images and the processor's flags.

    Raises:
        DataError: a batch does not fit into memory.
        UsageError: a privacy that cannot be promised.
    """
    recipe, count = crops.recipe, len(data.train)
    batch, why_batch = choose_batch(count, crops)
    shorter = None
    if config.private is not None:
        usual = recipe.optimiser.batch is None and not recipe.optimiser.takes_all_images
        batch = choose_private_batch(count, batch) if usual else min(batch, count)
        why_batch = Message(
            "batch {batch} on average (setting optimiser.batch): the more images, the less the noise counts",
            id="choice.private-batch",
            batch=batch,
        )
    else:
        shorter = choose_short_batch(count, batch, crops, config, processes)
        batch, why_batch = shorter or (batch, why_batch)
    if device.type == "cpu":
        # Full-batch descent takes its images in chunks, one by one where they are large.
        at_once = 1 if recipe.optimiser.takes_all_images else batch
        check_memory(
            recipe.backbone,
            recipe.geometry,
            (at_once, data.train.channels, *crops.size),
            backward=True,
        )
    precision, why_precision = choose_precision(config, recipe, device)
    minutes = recipe.usual_minutes if config.length is None else config.minutes
    plan = TrainPlan(
        size=crops.size,
        is_crop=crops.is_crop,
        batch=batch,
        steps=0,
        validate_every=1,
        precision=precision,
        seed=config.seed,
        notes=(*crops.notes, why_batch, *_describe_held_out(data, config), why_precision),
        minutes=minutes,
        **_from_config(config),
    )
    if minutes is not None:
        return plan
    steps, why_steps = steps_of_request(config, recipe, count, batch)
    return with_length(plan.with_notes(why_steps), steps, recipe, config, data, is_short=shorter is not None)


def with_length(
    plan: TrainPlan,
    steps: int,
    recipe: Recipe,
    config: TrainConfig,
    data: TrainingData,
    *,
    is_short: bool = False,
) -> TrainPlan:
    """The plan with a number of steps and what follows from it: validations, warm-up, noise.

    Args:
        is_short: whether the whole training counts as warm-up, however many steps it has.

    Raises:
        UsageError: a privacy that cannot be promised.
    """
    is_short = plan.minutes is None and (is_short or steps < SHORT_STEPS)
    held_out = 0 if data.held_out is None else len(data.held_out)
    terms = plan_privacy(config, count=len(data.train), batch=plan.batch, steps=steps)
    notes = [] if terms is None else describe_privacy(terms, steps, val=held_out > 0)
    if terms is not None and plan.minutes is not None:
        notes.insert(
            0,
            Message(
                "private: {steps} whatever time they take: the noise is calibrated to their number",
                id="choice.private-steps",
                steps=format_count(steps, "step"),
            ),
        )
    # A validation costs about a third of a training pass; together they stay below a tenth of the time.
    affordable = math.ceil(held_out / 3 / (0.1 * plan.batch))
    return replace(
        plan.with_notes(*notes),
        steps=steps,
        validate_every=max(1, min(steps, max(steps // VALIDATIONS, affordable))),
        warmup_steps=steps if is_short else warmup_steps(recipe.optimiser, steps),
        privacy=terms,
        minutes=plan.minutes if terms is None else None,
    )


def with_minutes(
    plan: TrainPlan, step_seconds: float, recipe: Recipe, config: TrainConfig, data: TrainingData
) -> TrainPlan:
    """A plan for a length in minutes with a first estimate of its steps, from the measured time of one."""
    assert plan.minutes is not None
    steps = max(1, int(plan.minutes * 60 * STEPS_SHARE / step_seconds))
    epochs = float(f"{steps * plan.batch / len(data.train):.3g}")
    text = format_count(plan.minutes, "minute") + ("" if config.minutes is not None else " (minutes, epochs)")
    note = Message(
        "{length} {verb} about {steps} at {milliseconds:,g} ms, {epochs}; the real "
        "number depends on how long each step takes",
        id="choice.minutes",
        length=text,
        verb=choose_word(plan.minutes, "is", "are"),
        steps=format_count(steps, "step"),
        milliseconds=float(f"{1000 * step_seconds:.3g}"),
        epochs=format_count(epochs, "epoch"),
    )
    timed = replace(plan.with_notes(note), step_seconds=step_seconds)
    return with_length(timed, steps, recipe, config, data)


def choose_precision(config: TrainConfig, recipe: Recipe, device: torch.device) -> tuple[str, str]:
    """`(precision, what to say)`, from the processor's flags and never from a measurement."""
    if config.precision != "auto":
        return config.precision, Message(
            "precision {precision}, as asked", id="choice.precision-asked", precision=config.precision
        )
    if config.private is not None:
        return "float32", Message(
            "precision float32: gradients of single images", id="choice.precision-private"
        )
    if recipe.bottleneck.needs_float32:
        return "float32", Message(
            "precision float32: {reason}",
            id="choice.precision-needed",
            reason=recipe.bottleneck.needs_float32,
        )
    if multiplies_bfloat16(device):
        return "bfloat16", Message(
            "precision bfloat16: this processor multiplies it", id="choice.precision-bfloat16"
        )
    return "float32", Message(
        "precision float32: this processor has no instructions for bfloat16", id="choice.precision-float32"
    )


def _describe_held_out(data: TrainingData, config: TrainConfig) -> list[str]:
    if data.held_out is not None:
        return []
    if config.private is not None:
        return [
            Message(
                "no image of DATA is held out: to choose weights by it would reveal something "
                "about it; the last weights are kept",
                id="choice.private-not-held-out",
            )
        ]
    return [
        Message("nothing is held out for validation: the last weights are kept", id="choice.not-held-out")
    ]


def steps_of_request(config: TrainConfig, recipe: Recipe, count: int, batch: int) -> tuple[int, str]:
    """Steps of a training whose length is no time; and a sentence that says so."""
    if config.steps is not None:
        return config.steps, Message(
            "{steps}, as asked", id="choice.steps-asked", steps=format_count(config.steps, "step")
        )
    epochs = epochs_of(config, recipe)
    assert epochs is not None
    steps = max(1, math.ceil(epochs * (count / batch)))
    length, equals = format_count(epochs, "epoch"), choose_word(epochs, "is", "are")
    if config.epochs is not None:
        return steps, Message(
            "{length} {equals} {steps}",
            id="choice.epochs",
            length=length,
            equals=equals,
            steps=format_count(steps, "step"),
        )
    said = Message(
        "{length}, the recipe's length, {equals} {steps}",
        id="choice.epochs-of-recipe",
        length=length,
        equals=equals,
        steps=format_count(steps, "step"),
    )
    return steps, Message("{length} (minutes, epochs)", id="choice.length-of-recipe", length=said)
