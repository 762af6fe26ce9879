"""The one loop: batches in, players move, averages follow, validation decides which weights are kept.

Everything random in step t comes from generators seeded by (seed, t), and the order of images from the batch
stream's own (seed, epoch). So the state is only weights, moments, averages and counters, and a run that is
stopped after any step and resumed takes exactly the steps it would have taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.errors import Hint, ModelFileError, UsageError
from isthmus.images.store import ImageSet
from isthmus.model.attachment_check import DAMAGE, check_state
from isthmus.training.budget import Budget
from isthmus.training.callbacks import Callback, TrainingEvent, emit, listens_to
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.clock import Clock, monotonic
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.distributed import ALONE, Processes
from isthmus.training.ema import Average
from isthmus.training.losses import Logged, Losses
from isthmus.training.options import Settled
from isthmus.training.player import Learner
from isthmus.training.progress import History, Listener, Progress
from isthmus.training.schedule import Schedule
from isthmus.training.state import State, part, put_back, restored_state, restored_steps_summed, tensors_of
from isthmus.training.step import Steps
from isthmus.training.validation import validation_loss

if TYPE_CHECKING:
    from isthmus.model.autoencoder import Autoencoder

LOG_SECONDS = 0.5
OVERFIT = 0.002  # a validation loss this share above the best counts against patience: less is noise


class Run:
    """A training in progress.

    Args:
        learner: what is trained.
        images: the training part; `held_out` the validation part, or None.
        settled: length, batch, precision: nothing but the number of steps in a given time is chosen in here.
        patience: validations in a row above the best before the end; 0 for never.
        balance: draw classes equally often.
        turn: mirror and turn examples at random.
        processes: that share every step; `alike`: noise is drawn for all of them together.
        step_seconds: measured duration of a step, for the first plan of a training in minutes.
        clock: that all durations are read from.

    Raises:
        UsageError: batch normalisation of a single image or in several processes; more processes than
                images a step.
    """

    def __init__(
        self,
        learner: Learner,
        images: ImageSet,
        held_out: ImageSet | None,
        settled: Settled,
        *,
        patience: int,
        balance: bool,
        turn: bool = False,
        processes: Processes = ALONE,
        alike: bool = True,
        step_seconds: float = 0.0,
        clock: Clock = monotonic,
    ) -> None:
        self.clock = clock
        self.schedule = Schedule.linear(settled.steps)
        self.budget: Budget | None = None
        if settled.minutes is not None:
            ratio = (0 if held_out is None else len(held_out)) / settled.batch
            self.budget = Budget.of(60 * settled.minutes, step_seconds, ratio)
        self.processes = processes
        self.learner, self.images, self.held_out, self.settled = learner, images, held_out, settled
        self.patience = patience
        self.crop = settled.size if settled.crop else None
        self.players = learner.players
        self.device = next(learner.module.parameters()).device
        self.steps = Steps(
            learner,
            images,
            settled,
            crop=self.crop,
            balance=balance,
            turn=turn,
            processes=processes,
            alike=alike,
            device=self.device,
        )
        self.batches, self.optimisers, self.private = (
            self.steps.batches,
            self.steps.optimisers,
            self.steps.private,
        )
        learner.set_precision(getattr(torch, settled.precision))
        normalises = any(isinstance(m, _BatchNorm) for m in learner.module.modules())
        if normalises and (settled.batch < 2 or processes.count > 1):
            hint = Hint.add(settings=("backbone.norm=none",))
            if processes.count == 1:
                raise UsageError(
                    "batch normalisation needs at least two images a step",
                    id="training.batch-norm-of-one",
                    hint=hint,
                )
            raise UsageError(
                "batch normalisation takes its statistics from one process's part of a batch: with "
                "several processes it would not be the network that was asked for",
                id="training.batch-norm-distributed",
                hint=hint,
            )
        self.average = Average(learner.module, self.players[0].optimiser.ema)
        self.best: dict[str, Tensor] = {}
        # The last weights are the result where nothing is held out, or where a game has no lowest loss.
        self.keeps_last = held_out is None or len(self.players) > 1
        # A training in minutes has no knots before the first plan.
        self.state = State(knots=[] if self.budget else self.schedule.to_json())
        self.between_steps = True  # False within a validation, whose outcome belongs to the step before it
        self.losses = Losses()
        self._noticed: set[str] = set()

    # ------------------------------------------------------------ the loop

    def fit(
        self,
        *,
        listener: Listener | None = None,
        save: Callable[[], None] | None = None,
        save_seconds: float = 60.0,
        should_stop: Callable[[], bool] = lambda: False,
        examine: Callable[[History], Sequence[Finding]] = lambda _: (),
        callbacks: Sequence[Callback] = (),
    ) -> bool:
        """Train to the end, or until `should_stop` says so after a step. True when the end was reached.

        Args:
            save: writes a checkpoint; called every `save_seconds` and when stopped.
            examine: what the doctor makes of the validations so far; asked after each.
            callbacks: called after steps and validations.

        Raises:
            DivergedError: a loss became NaN or infinite.
        """
        state, budget = self.state, self.budget
        started = last = logged = saved = self.clock()
        before, first, paused = state.seconds, state.step, 0.0 if budget is None else budget.paused
        if budget is not None and not state.knots:
            self._plan(budget, None)
        self.learner.module.train()
        watched = listens_to(callbacks, "on_step")
        while state.step < self.schedule.steps and not state.ended_early:
            moved = self.step()
            if watched:
                emit(callbacks, "on_step", self.event(_step_losses(moved)))
            now = self.clock()
            if budget is not None:
                budget.add_step(now - last)
            last = now
            replan, validate = self._due()
            if replan and not validate and budget is not None:
                self._plan(budget, self.schedule)
                validate = state.step >= self.schedule.steps
                replan = False
            if validate or now - logged > LOG_SECONDS:
                losses = self.losses.means()
                if validate or self.processes.count == 1:  # several must find the same at the same step
                    self._check_finite(losses)
                found: tuple[Finding, ...] = ()
                if validate:
                    self.between_steps = False
                    self._validate(losses)
                    if budget is not None:
                        now = self.clock()
                        budget.add_validation(now - last)
                        last = now
                    self.between_steps = True
                    found = self._new(examine(state.history)) if self.private is None else ()
                    emit(callbacks, "on_validation", self.event(losses, found))
                if replan and budget is not None and not state.ended_early:
                    self._plan(budget, self.schedule)
                if listener is not None:
                    rate = (state.step - first) * self.settled.batch / max(now - started, 1e-9)
                    listener(self._progress(rate, losses, found))
                logged = now
            state.seconds = before + now - started
            if budget is not None:
                state.seconds -= budget.paused - paused
            if self.processes.any(should_stop()):
                if save is not None:
                    save()
                return False
            if save is not None and now - saved > save_seconds:
                save()
                saved = now
        return True

    def _due(self) -> tuple[bool, bool]:
        """`(plan the rest again, validate)` after this step, as process 0 finds."""
        step, budget, processes = self.state.step, self.budget, self.processes
        if step >= self.schedule.steps:
            return False, True
        if budget is None:
            return False, step % self.settled.validate_every == 0
        # Steps that have become slow end their part of the plan early.
        late = processes.any(processes.first and budget.is_late())
        replan = late or any(step == knot for knot, _ in self.schedule.knots)
        return replan, replan and processes.any(processes.first and budget.wants_validation())

    def _plan(self, budget: Budget, schedule: Schedule | None) -> None:
        """Plan the rest of a training in minutes as process 0 does."""
        planned = budget.plan(self.state.step, schedule)
        ahead = [knot for knot in planned.knots if knot[0] > self.state.step]
        numbers = [float(len(ahead)), *(x for knot in ahead for x in knot)]
        count, *values = self.processes.numbers_of_first([*numbers, *[0.0] * (5 - len(numbers))])
        knots = [(int(values[2 * i]), values[2 * i + 1]) for i in range(int(count))]
        start = Schedule.linear(1) if schedule is None else schedule
        self.schedule = start.replan(self.state.step, knots)
        self.state.knots = self.schedule.to_json()

    def _progress(self, rate: float, losses: dict[str, float], found: tuple[Finding, ...]) -> Progress:
        state, schedule = self.state, self.schedule
        share = 1.0 if state.step >= schedule.steps else schedule.progress(state.step)
        return Progress(
            state.step, schedule.steps, rate, losses, state.validation, state.best_loss, found, share
        )

    def event(
        self, losses: Mapping[str, float] = MappingProxyType({}), found: tuple[Finding, ...] = ()
    ) -> TrainingEvent:
        """What callbacks are given now; of a private training without the losses of its images."""
        state, schedule = self.state, self.schedule
        return TrainingEvent(
            step=state.step,
            steps=schedule.steps,
            share=1.0 if state.step >= schedule.steps else schedule.progress(state.step),
            model=cast("Autoencoder", self.learner.module),
            losses=MappingProxyType({} if self.private is not None else dict(losses)),
            validation=state.validation,
            best_step=None if state.best_loss is None else state.best_step,
            best=state.best_loss,
            findings=found,
        )

    def step(self) -> Logged:
        """One step of every player on one batch; the losses of its passes."""
        logged = self.steps.take(self.state.step, self.schedule)
        self.losses.add(self.state.step, logged)
        self.state.step += 1
        self.average.update(self.state.step)
        return logged

    # ------------------------------------------------------------ validation

    def _validate(self, losses: dict[str, float]) -> None:
        state = self.state
        entry = {"step": float(state.step)}
        if self.private is None:  # losses of private images carry no noise: they are shown, and not kept
            entry |= {f"train_{k}": v for k, v in losses.items()}
        if self.held_out is not None:
            loss, parts = self.validation_loss()
            self._check_finite({"validation": loss})
            state.validation = loss
            entry |= {"validation": loss} | {f"validation_{k}": v for k, v in parts.items()}
            if not self._is_past_warmup():
                pass  # losses jump about while the rate rises: none of them is the best, or one too many
            elif state.best_loss is None or loss < state.best_loss:
                state.best_loss, state.best_step, state.stale = loss, state.step, 0
                with self.average.applied():
                    self.best = {k: v.detach().clone() for k, v in self.learner.module.state_dict().items()}
            elif loss > state.best_loss + OVERFIT * abs(state.best_loss):
                state.stale += 1
                overfits = 0 < self.patience <= state.stale and not self.keeps_last
                state.ended_early = overfits and state.step < self.schedule.steps
            else:
                state.stale = 0  # on a plateau the falling rate still has something to give
        state.history.append(entry)
        self.losses.begin_again()

    def _is_past_warmup(self) -> bool:
        step = self.state.step
        return step > self.settled.warmup_steps or step >= self.schedule.steps

    def validation_loss(self) -> tuple[float, dict[str, float]]:
        """The objective on the held-out images with averaged weights, and its terms."""
        assert self.held_out is not None
        with self.average.applied():
            return validation_loss(
                self.learner, self.held_out, crop=self.crop, processes=self.processes, device=self.device
            )

    def finish(self) -> None:
        """Put the weights that are kept into the module: the best validated ones, or the last average."""
        module = self.learner.module
        if self.keeps_last or not self.best:
            with self.average.applied():
                self.best = {k: v.detach().clone() for k, v in module.state_dict().items()}
        module.load_state_dict(self.best)
        module.eval()

    def _check_finite(self, losses: dict[str, float]) -> None:
        if not self.losses.finite(losses):
            raise self.losses.error(
                self.state.step,
                losses,
                images=self.images,
                held_out=self.held_out,
                precision=self.settled.precision,
                players=self.players,
            )

    def _new(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        found = tuple(one for one in findings if one.name not in self._noticed)
        self._noticed |= {one.name for one in found}
        return found

    # ------------------------------------------------------------ state on disk

    def checkpoint(self, facts: dict[str, Any]) -> Checkpoint:
        """Everything needed to go on, beside `facts` of the caller's."""
        tensors = tensors_of(
            self.learner.module, self.average, self.best, self.losses.sums, self.players, self.optimisers
        )
        state = {**asdict(self.state), "summed": self.losses.summed}
        if self.budget is not None:
            state["budget"] = asdict(self.budget)
        return Checkpoint({**facts, "state": state}, tensors)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the state that `checkpoint` holds.

        Raises:
            ModelFileError: it is not the state of this training.
        """
        try:
            self._restore(checkpoint)
        except DAMAGE as error:
            why = " ".join(str(error).split())[:200]
            raise ModelFileError(
                "the saved state does not fit this training: {reason}", id="training.state-other", reason=why
            ) from error

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        put_back(tensors, self.learner.module, self.average, self.players, self.optimisers)
        self.best = part(tensors, "best")
        if self.best:
            check_state(self.learner.module, self.best)
        self.losses.sums = {name: value.to(self.device) for name, value in part(tensors, "sums").items()}
        state = dict(checkpoint.facts["state"])
        self.losses.summed = restored_steps_summed(state.pop("summed"))
        self.state = restored_state(state, self.settled.steps)
        if self.state.budget is not None:
            self.budget = Budget(**self.state.budget)
        if self.state.knots:
            self.schedule = Schedule.from_json(self.state.knots)
        elif self.budget is None:  # version 0.1 stored none: all its trainings had a fixed number of steps
            self.state.knots = self.schedule.to_json()


def _step_losses(logged: Logged) -> dict[str, float]:
    """The losses of one step, from its passes and their shares."""
    return {name: sum(float(parts[name]) * share for parts, share in logged) for name in logged[0][0]}
