"""`Trainer`: the one training loop: steps of all players, the average of the weights, validations.

    trainer = Trainer(AutoencoderLearner(model), TrainingData(images, held_out), plan)
    while not trainer.is_finished:
        trainer.train_step()
        if trainer.is_validation_due():
            trainer.validate()
    trainer.finish()

That is `fit`, without the reports, checkpoints and signals around it. Everything random in step t comes from
generators seeded by (seed, t), and the order of images from the batch stream's own (seed, epoch). So the
state is only weights, moments, averages and counters, and a training that is stopped after any step and
resumed takes exactly the steps it would have taken. The strategy computes the gradients of a step, in one
process or several (`players.py`, `data_parallel.py`, `private_gradients.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.errors import Hint, ModelFileError, UsageError, one_line
from isthmus.model.attachment_check import DAMAGE, check_state
from isthmus.training.budget import Budget, Clock, Stopwatch, monotonic
from isthmus.training.callbacks import (
    Callback,
    EventName,
    History,
    Listener,
    Progress,
    TrainingEvent,
    emit,
    listens_to,
)
from isthmus.training.data import TrainingData
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.losses import LossRecorder, evaluate_objective
from isthmus.training.optimisers import WeightAverage, build_optimiser, clip_gradients
from isthmus.training.plan import TrainPlan
from isthmus.training.players import GradientStrategy, Learner, Logged, step_seed, sum_passes
from isthmus.training.schedule import Schedule, rate_at
from isthmus.training.state import (
    Checkpoint,
    TrainState,
    collect_tensors,
    load_tensors,
    read_state,
    read_steps_summed,
    select_tensors,
)

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder

MIN_LOSS_RISE = 0.002  # share above the best from which a validation loss counts against patience


class Trainer:
    """A training in progress.

    Args:
        learner: what is trained.
        data: images to train on and to validate on.
        plan: length, batch, precision and all else that was chosen.
        strategy: how gradients are computed; by default in this process, without noise.
        callbacks: called after steps and validations.
        listener: called about twice a second and after each validation.
        examine: the training doctor: findings that follow from the validations so far.
        clock: that all durations are read from.

    Attributes:
        state: counters; schedule: progress over the steps; budget: of a training in minutes.
        average: of the weights; best: the weights of the lowest validation loss, by name.

    Raises:
        UsageError: batch normalisation of a single image; more processes than images a step.
    """

    def __init__(
        self,
        learner: Learner,
        data: TrainingData,
        plan: TrainPlan,
        *,
        strategy: GradientStrategy | None = None,
        callbacks: Sequence[Callback] = (),
        listener: Listener | None = None,
        examine: Callable[[History, Schedule], Sequence[Finding]] = lambda _history, _schedule: (),
        clock: Clock = monotonic,
    ) -> None:
        self.learner, self.data, self.plan = learner, data, plan
        self.strategy = GradientStrategy() if strategy is None else strategy
        self.callbacks, self.listener, self.examine = tuple(callbacks), listener, examine
        if plan.batch < 2 and any(isinstance(m, _BatchNorm) for m in learner.module.modules()):
            raise UsageError(
                "batch normalisation needs at least two images per step",
                id="training.batch-norm-images",
                hint=Hint.add(settings="backbone.norm=none"),
            )
        self.players = learner.players
        self.batches = self.strategy.open_batches(data.train, plan)
        self.optimisers = [build_optimiser(player) for player in self.players]
        self.average = WeightAverage(learner.module, self.players[0].optimiser.ema)
        self.best: dict[str, Tensor] = {}
        # The last weights are the result where nothing is held out, and with a critic, whose game has no
        # lowest loss.
        self.keeps_last = data.held_out is None or len(self.players) > 1
        self.schedule = Schedule.linear(plan.steps)
        self.budget: Budget | None = None
        if plan.minutes is not None:
            validation_steps = 0 if data.held_out is None else len(data.held_out) / plan.batch
            self.budget = Budget.of(60 * plan.minutes, plan.step_seconds, validation_steps)
        # A training in minutes has no knots before the first plan.
        self.state = TrainState(knots=[] if self.budget else self.schedule.to_json())
        self.watch = Stopwatch(clock, self.budget)
        self.recorder = LossRecorder()
        self.is_between_steps = True  # False within a validation, which belongs to the step before it
        self._reported: set[str] = set()
        self._emits_steps = listens_to(self.callbacks, "on_step")
        learner.set_precision(getattr(torch, plan.precision))
        learner.module.train()

    # ------------------------------------------------------------ the loop

    def fit(
        self,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        save: Callable[[], None] = lambda: None,
    ) -> bool:
        """Train to the end, or until `should_stop` returns True after a step. True when the end was reached.

        Args:
            save: writes a checkpoint; called every `plan.checkpoint_seconds` and when stopped.

        Raises:
            DivergedError: a loss became NaN or infinite.
        """
        self.watch.start(self.state)
        if self.budget is not None and not self.state.knots:
            self.plan_rest()
        while not self.is_finished:
            self.train_step()
            if self.is_validation_due():
                self.validate()
            elif self.watch.is_report_due():
                self._report()
            self.watch.write_seconds(self.state)
            if self.strategy.group.any(should_stop()):
                save()
                return False
            if self.watch.is_checkpoint_due(self.plan.checkpoint_seconds):
                save()
        return True

    @property
    def is_finished(self) -> bool:
        """Whether the last step was taken, or patience is over."""
        return self.state.step >= self.schedule.steps or self.state.ended_early

    def train_step(self) -> Logged:
        """One step of every player on one batch; the losses of its passes, before the players moved."""
        step, progress = self.state.step, self.schedule.progress(self.state.step)
        seed = step_seed(self.plan.seed, step)
        losses = self.strategy.backward(self.learner, self.batches(step), step, seed, progress)
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            if not self.strategy.is_private:  # there each image's gradient is clipped
                clip_gradients(player)
            rate = rate_at(player.optimiser, progress, self.schedule)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
        self.recorder.add(step, losses)
        self.state.step += 1
        self.average.update(self.state.step)
        if self._emits_steps:
            self.emit("on_step", sum_passes(losses))
        self.watch.end_step()
        return losses

    def is_validation_due(self) -> bool:
        """Whether a validation follows the step that was taken last. In between, a training in minutes plans
        the steps that are left again, where they have become slower or faster.
        """
        step, budget, strategy = self.state.step, self.budget, self.strategy
        if step >= self.schedule.steps:
            return True
        if budget is None:
            return step % self.plan.validate_every == 0
        is_first = strategy.group.is_first
        # Steps that have become slow end their part of the plan early.
        is_late = strategy.group.any(is_first and budget.is_late())
        if not is_late and not any(step == knot for knot, _ in self.schedule.knots):
            return False
        if strategy.group.any(is_first and budget.wants_validation()):
            return True
        self.plan_rest()
        return step >= self.schedule.steps

    def validate(self) -> None:
        """Measure the objective on held-out images with averaged weights, and keep them if they are the best.

        Raises:
            DivergedError: a loss is NaN or infinite.
        """
        state = self.state
        losses = self._mean_losses()
        entry = {"step": float(state.step)}
        if not self.strategy.is_private:  # losses of private images carry no noise: they are shown, not kept
            entry |= {f"train_{name}": value for name, value in losses.items()}
        self.is_between_steps = False
        if self.data.held_out is not None:
            loss, terms = self.validation_loss()
            self._check_finite({"validation": loss})
            state.validation = loss
            entry |= {"validation": loss} | {f"validation_{name}": value for name, value in terms.items()}
            if state.step > self.plan.warmup_steps or state.step >= self.schedule.steps:
                self._keep_best_or_count(loss)  # before, losses jump about while the rate rises
        state.history.append(entry)
        self.recorder.restart()
        self.watch.end_validation()
        self.is_between_steps = True
        findings = () if self.strategy.is_private else self._new_findings()
        self.emit("on_validation", losses, findings)
        if self.budget is not None and not self.is_finished:
            self.plan_rest()
        self._tell_listener(losses, findings)

    def validation_loss(self) -> tuple[float, dict[str, float]]:
        """The objective on the held-out images with averaged weights, and its terms."""
        assert self.data.held_out is not None
        with self.average.swapped_in():
            return evaluate_objective(
                self.learner, self.data.held_out, crop=self.plan.crop, strategy=self.strategy
            )

    def finish(self) -> None:
        """Put the weights that are kept into the module: the best validated ones, or the last average."""
        if self.keeps_last or not self.best:
            self.best = self._average_weights()
        self.learner.module.load_state_dict(self.best)
        self.learner.module.eval()

    # ------------------------------------------------------------ state on disk

    def state_dict(self) -> Checkpoint:
        """Everything needed to continue, besides the plan and the record of the images."""
        tensors = collect_tensors(
            self.learner.module, self.average, self.best, self.recorder.sums, self.players, self.optimisers
        )
        state = {**asdict(self.state), "summed": self.recorder.summed}
        if self.budget is not None:
            state["budget"] = asdict(self.budget)
        return Checkpoint({"state": state}, tensors)

    def load_state_dict(self, saved: Checkpoint) -> None:
        """Go back to the state that `saved` holds.

        Raises:
            ModelFileError: it is not the state of this training.
        """
        try:
            self._load(saved)
        except DAMAGE as error:
            raise ModelFileError(
                "the saved state does not fit this training: {reason}",
                id="training.state-other",
                reason=one_line(error),
            ) from error

    def _load(self, saved: Checkpoint) -> None:
        tensors, module = saved.tensors, self.learner.module
        load_tensors(tensors, module, self.average, self.players, self.optimisers)
        self.best = select_tensors(tensors, "best")
        if self.best:
            check_state(module, self.best)
        device = next(module.parameters()).device
        self.recorder.sums = {k: v.to(device) for k, v in select_tensors(tensors, "sums").items()}
        state = dict(saved.facts["state"])
        self.recorder.summed = read_steps_summed(state.pop("summed"))
        self.state = read_state(state, self.plan.steps)
        if self.state.budget is not None:
            self.budget = self.watch.budget = Budget(**self.state.budget)
        if self.state.knots:
            self.schedule = Schedule.from_json(self.state.knots)
        elif self.budget is None:  # version 0.1 stored none: all its trainings had a fixed number of steps
            self.state.knots = self.schedule.to_json()

    # ------------------------------------------------------------ what a validation decides

    def _keep_best_or_count(self, loss: float) -> None:
        """Keep the averaged weights of the lowest loss; end after too many losses in a row above it."""
        state = self.state
        if state.best_loss is None or loss < state.best_loss:
            state.best_loss, state.best_step, state.stale = loss, state.step, 0
            self.best = self._average_weights()
        elif loss > state.best_loss + MIN_LOSS_RISE * abs(state.best_loss):
            state.stale += 1
            is_over = 0 < self.plan.patience <= state.stale and not self.keeps_last
            state.ended_early = is_over and state.step < self.schedule.steps
        else:
            state.stale = 0  # the falling rate can still improve a model on a plateau

    def _average_weights(self) -> dict[str, Tensor]:
        with self.average.swapped_in():
            return {k: v.detach().clone() for k, v in self.learner.module.state_dict().items()}

    def plan_rest(self) -> None:
        """Plan the rest of a training in minutes; every process takes the plan of process 0."""
        assert self.budget is not None
        step, schedule = self.state.step, self.schedule if self.state.knots else None
        planned = self.budget.plan(step, schedule)
        ahead = [knot for knot in planned.knots if knot[0] > step]
        numbers = [float(len(ahead)), *(x for knot in ahead for x in knot)]
        count, *values = self.strategy.group.broadcast_numbers([*numbers, *[0.0] * (5 - len(numbers))])
        knots = [(int(values[2 * i]), values[2 * i + 1]) for i in range(int(count))]
        start = Schedule.linear(1) if schedule is None else schedule
        self.schedule = start.replan(step, knots)
        self.state.knots = self.schedule.to_json()

    # ------------------------------------------------------------ what is reported

    def emit(
        self,
        name: EventName,
        losses: Mapping[str, float] = MappingProxyType({}),
        findings: tuple[Finding, ...] = (),
    ) -> None:
        """Call the callbacks; of a private training they get no loss of its images."""
        state = self.state
        event = TrainingEvent(
            step=state.step,
            steps=self.schedule.steps,
            share=self.share,
            model=cast("Autoencoder", self.learner.module),
            losses=MappingProxyType({} if self.strategy.is_private else dict(losses)),
            validation=state.validation,
            best_step=None if state.best_loss is None else state.best_step,
            best=state.best_loss,
            findings=findings,
        )
        emit(self.callbacks, name, event)

    @property
    def share(self) -> float:
        """The share of the training that is done, from 0 to 1."""
        step = self.state.step
        return 1.0 if step >= self.schedule.steps else self.schedule.progress(step)

    def _report(self) -> None:
        # Several processes must find a NaN at the same step: they look for it at validations only.
        losses = self._mean_losses() if self.strategy.part[1] == 1 else self.recorder.means()
        self._tell_listener(losses, ())

    def _tell_listener(self, losses: dict[str, float], findings: tuple[Finding, ...]) -> None:
        if self.listener is not None:
            state, steps = self.state, self.schedule.steps
            rate = self.watch.images_per_second(state.step, self.plan.batch)
            measured = (losses, state.validation, state.best_loss, findings, self.share)
            self.listener(Progress(state.step, steps, rate, *measured))
        self.watch.end_report()

    def _mean_losses(self) -> dict[str, float]:
        losses = self.recorder.means()
        self._check_finite(losses)
        return losses

    def _check_finite(self, losses: dict[str, float]) -> None:
        if not self.recorder.are_finite(losses):
            raise self.recorder.error(
                self.state.step,
                losses,
                images=self.data.train,
                held_out=self.data.held_out,
                precision=self.plan.precision,
                players=self.players,
            )

    def _new_findings(self) -> tuple[Finding, ...]:
        """The doctor's findings that are new at this validation."""
        results = self.examine(self.state.history, self.schedule)
        new = tuple(finding for finding in results if finding.name not in self._reported)
        self._reported |= {finding.name for finding in new}
        return new
