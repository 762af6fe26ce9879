"""The one loop: batches in, players move, averages follow, validation decides which weights are kept.

Everything random in step t comes from generators seeded by (seed, t), and the order of images from the batch
stream's own (seed, epoch). So the state is only weights, moments, averages and counters, and a run that is
stopped after any step and resumed takes exactly the steps it would have taken.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from isthmus.errors import IsthmusError, ModelFileError, UsageError
from isthmus.images.batches import Batch, Batches, whole
from isthmus.images.store import ImageSet
from isthmus.model.batch_mean import means_joined_by
from isthmus.training import optimisers
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.choose import sides
from isthmus.training.diagnosis.breakdown import Breakdown, broken_images, cause
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.distributed import ALONE, Processes
from isthmus.training.distributed_draws import SharedDraws
from isthmus.training.ema import Average
from isthmus.training.options import Settled
from isthmus.training.player import Learner, gradients
from isthmus.training.private_steps import PrivateSteps

CHUNK_PIXELS = 2**21  # pixel-channels per forward pass of full-batch descent; larger batches go in chunks
LOG_SECONDS = 0.5
OVERFIT = 0.002  # a validation loss this share above the best counts against patience: less is noise


class DivergedError(IsthmusError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Progress:
    """What a listener is told, at most about twice a second and after each validation.

    `findings` are those that this validation is the first to show.
    """

    step: int
    steps: int
    images_per_second: float
    losses: dict[str, float]
    validation: float | None
    best: float | None
    findings: tuple[Finding, ...] = ()


History = Sequence[Mapping[str, float]]
Listener = Callable[[Progress], None]
Logged = list[tuple[dict[str, Tensor], float]]  # losses of a pass and its share of the step


@dataclass
class State:
    """Counters of a run; with the tensors they are all there is to resume from."""

    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    validation: float | None = None
    stale: int = 0
    seconds: float = 0.0
    ended_early: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


class Run:
    """A training in progress.

    Args:
        learner: what is trained.
        images: the training part; `held_out` the validation part, or None.
        settled: length, batch, precision: nothing is chosen in here any more.
        patience: validations in a row above the best before the end; 0 for never.
        balance: draw classes equally often.
        turn: mirror and turn examples at random.
        processes: that share every step; `alike`: noise is drawn for all of them together.

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
    ) -> None:
        self.processes, self.alike = processes, alike
        self.learner, self.images, self.held_out, self.settled = learner, images, held_out, settled
        self.patience = patience
        self.crop = settled.size if settled.crop else None
        self.players = learner.players
        self.optimisers = [optimisers.build(player) for player in self.players]
        self.private: PrivateSteps | None = None
        if settled.privacy is not None:
            self.private = PrivateSteps(
                learner, self.optimisers[0], settled.privacy, count=len(images), batch=settled.batch
            )
        self.batches = Batches(
            images,
            batch=settled.batch,
            seed=settled.seed if self.private is None else self.private.seed,
            crop=self.crop,
            balance=balance,
            turn=turn,
            share=(processes.number, processes.count),
            drawn=None if self.private is None else self.private.drawn,
        )
        learner.set_precision(getattr(torch, settled.precision))
        normalises = any(isinstance(m, _BatchNorm) for m in learner.module.modules())
        if normalises and (settled.batch < 2 or processes.count > 1):
            raise UsageError(
                "batch normalisation needs at least two images a step"
                if processes.count == 1
                else "batch normalisation takes its statistics from one process's part of a batch: with "
                "several processes it would not be the network that was asked for",
                hint="repeat the command with --set backbone.norm=none",
            )
        self.average = Average(learner.module, self.players[0].optimiser.ema)
        self.best: dict[str, Tensor] = {}
        # The last weights are the result where nothing is held out, or where a game has no lowest loss.
        self.keeps_last = held_out is None or len(self.players) > 1
        self.state = State()
        self.between_steps = True  # False within a validation, whose outcome belongs to the step before it
        self.device = next(learner.module.parameters()).device
        self._sums: dict[str, Tensor] = {}
        self._summed = 0.0
        self._unread: list[tuple[int, dict[str, Tensor]]] = []  # (step, losses), to find a NaN's first step
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
    ) -> bool:
        """Train to the end, or until `should_stop` says so after a step. True when the end was reached.

        Args:
            save: writes a checkpoint; called every `save_seconds` and when stopped.
            examine: what the doctor makes of the validations so far; asked after each.

        Raises:
            DivergedError: a loss became NaN or infinite.
        """
        settled, state = self.settled, self.state
        started = logged = saved = time.monotonic()
        before, first = state.seconds, state.step
        self.learner.module.train()
        while state.step < settled.steps and not state.ended_early:
            self.step()
            now = time.monotonic()
            state.seconds = before + now - started
            validate = state.step % settled.validate_every == 0 or state.step == settled.steps
            if validate or now - logged > LOG_SECONDS:
                losses = self._losses()
                if validate or self.processes.count == 1:  # several must find the same at the same step
                    self._check_finite(losses)
                found: tuple[Finding, ...] = ()
                if validate:
                    self.between_steps = False
                    self._validate(losses)
                    self.between_steps = True
                    found = self._new(examine(state.history)) if self.private is None else ()
                if listener is not None:
                    rate = (state.step - first) * settled.batch / max(now - started, 1e-9)
                    best = state.best_loss
                    listener(Progress(state.step, settled.steps, rate, losses, state.validation, best, found))
                logged = now
            if self.processes.any(should_stop()):
                if save is not None:
                    save()
                return False
            if save is not None and now - saved > save_seconds:
                save()
                saved = time.monotonic()
        return True

    def step(self) -> None:
        """One step of every player on one batch."""
        state, settled = self.state, self.settled
        batch = self.batches(state.step)
        images = batch.images.to(self.device)
        labels = None if batch.labels is None else batch.labels.to(self.device)
        progress = state.step / settled.steps
        per_chunk = max(1, CHUNK_PIXELS // images[0].numel())
        chunked = self.players[0].optimiser.name == "gd" and self.private is None
        pieces = torch.split(images, per_chunk) if chunked else (images,)
        marks: Sequence[Tensor | None] = [None] * len(pieces)
        if labels is not None:
            marks = torch.split(labels, per_chunk) if chunked else [labels]
        for player in self.players:
            for parameter in player.parameters:
                parameter.grad = None
        logged: Logged = []
        with self._shared(batch, whole_pass=not chunked) as generator:
            if self.private is not None:
                logged.append((self.private(state.step, images, labels, progress), 1.0))
                pieces = ()
            for piece, mark in zip(pieces, marks[: len(pieces)], strict=True):
                share = len(piece) / batch.total
                trace = self.learner.trace(piece, generator, mark)
                found, parts = gradients(self.players, trace, progress, share)
                for player, grads in zip(self.players, found, strict=True):
                    for parameter, grad in zip(player.parameters, grads, strict=True):
                        if grad is not None:
                            parameter.grad = grad if parameter.grad is None else parameter.grad + grad
                logged.append((parts, share))
        for parts, share in self._added_up(logged):
            self._add(parts, share)
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            if self.private is None:
                optimisers.clip(player)
            rate = optimisers.rate_at(player.optimiser, progress, settled.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
        state.step += 1
        self.average.update(state.step)

    @contextlib.contextmanager
    def _shared(self, batch: Batch, *, whole_pass: bool) -> Iterator[torch.Generator]:
        """A step's source of randomness; within, passes over parts of a batch are as one over all of it."""
        settled, step, several = self.settled, self.state.step, self.processes.count > 1
        seed = step_seed(settled.seed, step)
        alike = self.alike and whole_pass
        if several and not alike:
            seed = step_seed(seed, self.processes.number)
        with contextlib.ExitStack() as stack:
            if several and whole_pass:
                share = len(batch.images) / batch.total
                stack.enter_context(means_joined_by(self.processes.joined(share)))
            if several and alike:
                stack.enter_context(SharedDraws(batch.part, batch.total))
            yield torch.Generator(device=self.device).manual_seed(seed)

    def _added_up(self, logged: Logged) -> Logged:
        """Gradients and losses of this process → those of the whole batch, in one message."""
        if self.processes.count == 1:
            return logged
        names = list(logged[0][0])
        losses = torch.stack([sum(parts[n] * share for parts, share in logged) for n in names])  # type: ignore[misc]
        moved = [p.grad for player in self.players for p in player.parameters if p.grad is not None]
        self.processes.add_up([*moved, losses])
        return [(dict(zip(names, losses.unbind(), strict=True)), 1.0)]

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
            if state.best_loss is None or loss < state.best_loss:
                state.best_loss, state.best_step, state.stale = loss, state.step, 0
                with self.average.applied():
                    self.best = {k: v.detach().clone() for k, v in self.learner.module.state_dict().items()}
            elif loss > state.best_loss + OVERFIT * abs(state.best_loss):
                state.stale += 1
                overfits = 0 < self.patience <= state.stale and not self.keeps_last
                state.ended_early = overfits and state.step < self.settled.steps
            else:
                state.stale = 0  # on a plateau the falling rate still has something to give
        state.history.append(entry)
        self._sums, self._summed = {}, 0.0

    @torch.no_grad()
    def validation_loss(self) -> tuple[float, dict[str, float]]:
        """The first player's whole objective on the held-out images, at full weights, with averaged weights.

        The noise of corruptions and stochastic codes is the same at every call, so losses can be compared.
        """
        assert self.held_out is not None
        objective = self.players[0].objective.validated()
        module = self.learner.module
        total, count, sums = 0.0, 0, {}  # type: float, int, dict[str, float]
        number, of = self.processes.number, self.processes.count
        module.eval()
        try:
            with self.average.applied():
                height, width = self.crop or sides(self.held_out)[1]
                per_pass = max(1, min(500, CHUNK_PIXELS // (height * width)))
                for i, batch in enumerate(whole(self.held_out, batch=per_pass, crop=self.crop)):
                    if i % of != number:
                        continue
                    generator = torch.Generator(device=self.device).manual_seed(step_seed(-1, i))
                    labels = None if batch.labels is None else batch.labels.to(self.device)
                    trace = self.learner.trace(batch.images.to(self.device), generator, labels)
                    per_image, parts = objective(trace)
                    total += float(per_image.sum())
                    count += len(per_image)
                    for name, value in parts.items():
                        sums[name] = sums.get(name, 0.0) + float(value) * len(per_image)
        finally:
            module.train()
        if of > 1:
            # A process that had no pass knows no names; the objective's are the same everywhere.
            names = [term.name for term in objective.terms]
            told = torch.tensor([total, count, *(sums.get(n, 0.0) for n in names)], dtype=torch.float64)
            self.processes.add_up([told])
            total, count, *values = told.tolist()
            sums = dict(zip(names, values, strict=True))
        return total / count, {name: value / count for name, value in sums.items()}

    def finish(self) -> None:
        """Put the weights that are kept into the module: the best validated ones, or the last average."""
        module = self.learner.module
        if self.keeps_last:
            with self.average.applied():
                self.best = {k: v.detach().clone() for k, v in module.state_dict().items()}
        module.load_state_dict(self.best)
        module.eval()

    # ------------------------------------------------------------ losses, read late

    def _add(self, parts: dict[str, Tensor], share: float) -> None:
        # Sums stay tensors: reading a number would make the step wait for it.
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value * share
        self._summed += share
        self._unread.append((self.state.step, parts))

    def _losses(self) -> dict[str, float]:
        return {name: float(value) / max(self._summed, 1e-9) for name, value in self._sums.items()}

    def _check_finite(self, losses: dict[str, float]) -> None:
        if not all(map(math.isfinite, losses.values())):
            raise self._diverged(losses)
        self._unread.clear()

    def _diverged(self, losses: dict[str, float]) -> DivergedError:
        steps = [(step, {k: float(v) for k, v in parts.items()}) for step, parts in self._unread]
        bad = [i for i, (_, parts) in enumerate(steps) if not all(map(math.isfinite, parts.values()))]
        first = bad[0] if bad else len(steps)
        step, found = steps[first] if bad else (self.state.step, losses)
        before = [parts for _, parts in steps[:first]]
        broken = broken_images(self.images, self.held_out)
        reason = cause(Breakdown(step, found, before, self.settled.precision, broken), self.players)
        setting = reason.suggestion.startswith("--")
        return DivergedError(
            reason.message,
            hint=f"repeat the command with {reason.suggestion}" if setting else None,
        )

    def _new(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        found = tuple(one for one in findings if one.name not in self._noticed)
        self._noticed |= {one.name for one in found}
        return found

    # ------------------------------------------------------------ state on disk

    def checkpoint(self, facts: dict[str, Any]) -> Checkpoint:
        """Everything needed to go on, beside `facts` of the caller's."""
        tensors = {f"model.{k}": v for k, v in self.learner.module.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.tensors.items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        tensors |= {f"sums.{k}": v for k, v in self._sums.items()}
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            for i, moments in optimiser.state_dict()["state"].items():
                for key, value in moments.items():
                    if isinstance(value, Tensor):
                        tensors[f"moments.{player.name}.{i}.{key}"] = value
        state = {**asdict(self.state), "summed": self._summed}
        return Checkpoint({**facts, "state": state}, tensors)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to the state that `checkpoint` holds.

        Raises:
            ModelFileError: it is not the state of this training.
        """
        try:
            self._restore(checkpoint)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise ModelFileError(f"the saved state does not fit this training: {why}") from error

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.learner.module.load_state_dict(part("model."))
        with torch.no_grad():
            for name, value in part("average.").items():
                self.average.tensors[name].copy_(value)
        self.best = part("best.")
        self._sums = {name: value.to(self.device) for name, value in part("sums.").items()}
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            saved: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"moments.{player.name}.").items():
                index, _, key = name.partition(".")
                saved.setdefault(int(index), {})[key] = value
            if saved:
                _restore_moments(optimiser, saved)
        state = dict(checkpoint.facts["state"])
        self._summed = state.pop("summed")
        self.state = State(**state)


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed from two numbers, well mixed (splitmix64; Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1


def _restore_moments(optimiser: torch.optim.Optimizer, saved: dict[int, dict[str, Tensor]]) -> None:
    # Loaded tensors are dense; the moments of channels-last weights are channels-last, and stay so.
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, moments in saved.items():
        parameter = parameters[index]
        for key, value in moments.items():
            same = value.shape == parameter.shape
            like = torch.empty_like(parameter if same else value, device=parameter.device)
            optimiser.state[parameter][key] = like.copy_(value)
