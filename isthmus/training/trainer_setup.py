"""A trainer that is ready for its first step, or for the next one of a training that was interrupted.

config, recipe -> read_training_data -> make_plan -> build_for_images -> Trainer

How long a step of a training takes on this machine: for lengths in minutes, and for `plan_training`.

Steps are timed with a copy of the model, so that the trained weights depend on the seed alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from isthmus.errors import IsthmusError, ModelFileError
from isthmus.images.store import ImageSet
from isthmus.machine import best_device
from isthmus.messages import Message
from isthmus.model import capabilities
from isthmus.model.attachment_check import DAMAGE
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.initialisation import build_for_images, init_short, load_initial_weights
from isthmus.model.loading import ModelLike
from isthmus.model.recipe import Recipe
from isthmus.training import state as checkpoints
from isthmus.training.budget import Clock, monotonic
from isthmus.training.callbacks import Callback, Listener
from isthmus.training.config import TrainConfig
from isthmus.training.data import TrainingData, check_same_data, read_training_data
from isthmus.training.data_parallel import DataParallel
from isthmus.training.diagnosis.diagnose import early_findings
from isthmus.training.distributed import SINGLE_PROCESS, ProcessGroup
from isthmus.training.plan import TrainPlan, make_plan, with_length, with_minutes
from isthmus.training.players import AutoencoderLearner, GradientStrategy
from isthmus.training.privacy import check_extra, check_private
from isthmus.training.private_gradients import PrivateGradients
from isthmus.training.resume import NO_REQUEST, Request, TrainRecord, check_request, extend
from isthmus.training.trainer import Trainer
from isthmus.wording import format_count

SECONDS = 1.5  # of measuring
BUDGET_SHARE = 0.03  # of a training's time that measuring takes at most, as far as steps are short enough
MAX_STEPS = 100


def time_step(
    model: Autoencoder,
    data: TrainingData,
    plan: TrainPlan,
    config: TrainConfig,
    *,
    processes: int = 1,
    clock: Clock = monotonic,
) -> float:
    """Mean seconds of the steps of a plan, after one step of warming up.

    Args:
        processes: that share a step; each measures its part, at the same time as the others.
    """
    limit = math.inf if plan.minutes is None else BUDGET_SHARE * 60 * plan.minutes
    single = with_length(plan, max(1, plan.steps), model.recipe, config, data)
    single = replace(single, batch=max(1, plan.batch // processes), minutes=None)
    learner = AutoencoderLearner(copy.deepcopy(model))
    private = single.privacy
    strategy = None
    if private is not None:
        strategy = PrivateGradients(learner, private, count=len(data.train), batch=single.batch)
    trainer = Trainer(learner, TrainingData(data.train), single, strategy=strategy)
    began = clock()
    first = _time_one(trainer, clock)
    if first > limit:
        return first
    times: list[float] = []
    end = clock() + min(SECONDS, limit)
    while not times or (
        clock() < began + limit and (len(times) < 3 or (clock() < end and len(times) < MAX_STEPS))
    ):
        times.append(_time_one(trainer, clock))
    return sum(times) / len(times)


def _time_one(trainer: Trainer, clock: Clock) -> float:
    start = clock()
    trainer.train_step()
    if next(trainer.learner.module.parameters()).device.type != "cpu":
        torch.accelerator.synchronize()  # a step has only been handed over until then
    return clock() - start


@dataclass(frozen=True)
class Observers:
    """Who is called while a training runs.

    Attributes:
        callbacks: after steps, after validations and at the end, see `isthmus.training.callbacks.Callback`.
        listener: about twice a second, see `isthmus.training.callbacks.Progress`.
        on_ready: once before the first step, with the trainer: its model, images and plan.
        finish: with the trained model and its training images, for what is fitted to a trained model and
            travels in its file.
    """

    callbacks: Sequence[Callback] = ()
    listener: Listener | None = None
    on_ready: Callable[[Trainer], None] | None = None
    finish: Callable[[Autoencoder, ImageSet], None] | None = None


NO_OBSERVERS = Observers()


def start_training(
    data: Any,
    config: TrainConfig,
    *,
    recipe: Recipe,
    val: Any = None,
    start_from: ModelLike | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
    observers: Observers = NO_OBSERVERS,
    clock: Clock = monotonic,
) -> tuple[Trainer, TrainRecord]:
    """A training that is ready to take its first step: data read, plan made, model built.

    Of several processes all read the same pixels and follow the plan of the first.

    Raises:
        DataError, UsageError, CapabilityError: an impossible request, or images that cannot be read.
    """
    if config.private is not None:
        check_private(recipe, balance=config.balance, processes=group.count)
        check_extra()
    images, crops = read_training_data(data, val, recipe, config, group)
    capabilities.check(crops.recipe)
    plan = make_plan(images, crops, config, processes=group.count, device=best_device())
    model = build_for_images(crops.recipe, images.train, plan.size, config.seed, look=config.private is None)
    if plan.minutes is not None:
        seconds = time_step(model, images, plan, config, processes=group.count, clock=clock)
        plan = with_minutes(plan, seconds, crops.recipe, config, images)
    if plan.is_short and config.private is None:
        plan = plan.with_notes(*init_short(model, images.train, plan.crop))
    if group.count > 1:
        note = Message(
            "{count} processes share every step of {images}",
            id="choice.processes",
            count=group.count,
            images=format_count(plan.batch, "image"),
        )
        seconds = group.broadcast(plan.step_seconds)
        plan = TrainPlan.from_dict(group.broadcast(plan.to_dict()), config).with_notes(note)
        plan = replace(plan, step_seconds=seconds)
    if start_from is not None:
        load_initial_weights(model, start_from)
    trainer = open_trainer(model, images, plan, group=group, observers=observers, clock=clock)
    return trainer, TrainRecord.of(crops.recipe, config, images)


def resume_training(
    data: Any,
    val: Any,
    out: Path,
    request: Request = NO_REQUEST,
    *,
    group: ProcessGroup = SINGLE_PROCESS,
    observers: Observers = NO_OBSERVERS,
    clock: Clock = monotonic,
) -> tuple[Trainer, TrainRecord]:
    """The unfinished training of the model at `out`, with the plan that it began with.

    Raises:
        ModelFileError: there is none, or its state is damaged.
        UsageError: other images, another recipe or other options than it began with.
    """
    path = checkpoints.resume_path(out)
    saved = checkpoints.load(path)
    try:
        record, plan = TrainRecord.from_dict(saved.facts)
    except (IsthmusError, *DAMAGE) as error:
        raise ModelFileError(
            "{path} is damaged: it does not describe a training ({reason})",
            id="training.state-undescribed",
            path=path,
            reason=error,
        ) from error
    check_request(record, request)
    images, _ = read_training_data(data, val, record.recipe, record.config, group)
    if val is not None and images.held_out is not None:  # first: with other ones more images are trained on
        check_same_data(images.held_out, record.held_out, record.source, "val")
    check_same_data(images.train, record.fingerprint, record.source)
    if images.held_out is not None:
        check_same_data(images.held_out, record.held_out, record.source, "val")
    if record.threads != torch.get_num_threads():
        here = torch.get_num_threads()
        plan = plan.with_notes(
            Message(
                "began with {threads} and continues with {here}: the last digits may differ",
                id="choice.threads-changed",
                threads=format_count(record.threads, "thread"),
                here=here,
            )
        )
    if plan.privacy is not None:
        check_private(record.recipe, balance=record.config.balance, processes=group.count)
        check_extra()
    model = build_for_images(record.recipe, images.train, plan.size, plan.seed)
    trainer = open_trainer(model, images, plan, group=group, observers=observers, clock=clock)
    trainer.load_state_dict(saved)
    return extend(trainer, record, request.config)


def open_trainer(
    model: Autoencoder,
    data: TrainingData,
    plan: TrainPlan,
    *,
    group: ProcessGroup = SINGLE_PROCESS,
    observers: Observers = NO_OBSERVERS,
    clock: Clock = monotonic,
) -> Trainer:
    """The trainer with the strategy that plan and processes ask for, and the doctor as its observer."""
    learner = AutoencoderLearner(model)
    strategy = GradientStrategy()
    if plan.privacy is not None:
        strategy = PrivateGradients(learner, plan.privacy, count=len(data.train), batch=plan.batch)
    elif group.count > 1:
        strategy = DataParallel(group, model.recipe, learner)
    return Trainer(
        learner,
        data,
        plan,
        strategy=strategy,
        callbacks=observers.callbacks if group.is_first else (),
        listener=observers.listener if group.is_first else None,
        examine=lambda history, schedule: early_findings(history, model.recipe, schedule),
        clock=clock,
    )
