"""How long a step of a training takes on this machine: for lengths in minutes, and for `plan_training`.

Steps are taken with a copy of the model, so that what is trained depends on the seed alone.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch

from isthmus.model.autoencoder import Autoencoder
from isthmus.training.config import TrainConfig
from isthmus.training.data import TrainingData
from isthmus.training.plan import TrainPlan, with_length
from isthmus.training.players import AutoencoderLearner
from isthmus.training.private_gradients import PrivateGradients
from isthmus.training.stopwatch import Clock, monotonic
from isthmus.training.trainer import Trainer

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
