"""One step of every player on one batch, alone or as a part of what several processes do together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from isthmus.images.batches import Batch, Batches
from isthmus.images.store import ImageSet
from isthmus.model.batch_mean import means_joined_by
from isthmus.training import optimisers
from isthmus.training.distributed import Processes
from isthmus.training.distributed_draws import SharedDraws
from isthmus.training.losses import Logged
from isthmus.training.options import Settled
from isthmus.training.player import Learner, gradients
from isthmus.training.private_steps import PrivateSteps
from isthmus.training.schedule import Schedule, rate_at
from isthmus.training.seeds import step_seed

CHUNK_PIXELS = 2**21  # pixel-channels per forward pass of full-batch descent; larger batches go in chunks


class Steps:
    """The steps of a training, by number: what one does depends on weights, moments, schedule and number.

    Args:
        learner: what is trained.
        images: that batches are drawn from, as parts of the size `crop` if that is given.
        settled: seed, batch size, privacy.
        balance: draw classes equally often.
        turn: mirror and turn examples at random.
        processes: that share every step; `alike`: noise is drawn for all of them together.
        device: that the learner is on.
    """

    def __init__(
        self,
        learner: Learner,
        images: ImageSet,
        settled: Settled,
        *,
        crop: tuple[int, int] | None,
        balance: bool,
        turn: bool,
        processes: Processes,
        alike: bool,
        device: torch.device,
    ) -> None:
        self.learner, self.settled = learner, settled
        self.processes, self.alike, self.device = processes, alike, device
        self.optimisers = [optimisers.build(player) for player in learner.players]
        self.private: PrivateSteps | None = None
        if settled.privacy is not None:
            self.private = PrivateSteps(
                learner, self.optimisers[0], settled.privacy, count=len(images), batch=settled.batch
            )
        self.batches = Batches(
            images,
            batch=settled.batch,
            seed=settled.seed if self.private is None else self.private.seed,
            crop=crop,
            balance=balance,
            turn=turn,
            share=(processes.number, processes.count),
            drawn=None if self.private is None else self.private.drawn,
        )

    def take(self, step: int, schedule: Schedule) -> Logged:
        """Move all players; their losses and terms before they moved."""
        players = self.learner.players
        batch = self.batches(step)
        images = batch.images.to(self.device)
        labels = None if batch.labels is None else batch.labels.to(self.device)
        progress = schedule.progress(step)
        per_chunk = max(1, CHUNK_PIXELS // images[0].numel())
        chunked = players[0].optimiser.takes_all_images and self.private is None
        pieces = torch.split(images, per_chunk) if chunked else (images,)
        marks: Sequence[Tensor | None] = [None] * len(pieces)
        if labels is not None:
            marks = torch.split(labels, per_chunk) if chunked else [labels]
        for player in players:
            for parameter in player.parameters:
                parameter.grad = None
        logged: Logged = []
        with self._shared(batch, step, whole_pass=not chunked) as generator:
            if self.private is not None:
                logged.append((self.private(step, images, labels, progress), 1.0))
                pieces = ()
            for piece, mark in zip(pieces, marks[: len(pieces)], strict=True):
                share = len(piece) / batch.total
                trace = self.learner.trace(piece, generator, mark)
                found, parts = gradients(players, trace, progress, share)
                for player, grads in zip(players, found, strict=True):
                    for parameter, grad in zip(player.parameters, grads, strict=True):
                        if grad is not None:
                            parameter.grad = grad if parameter.grad is None else parameter.grad + grad
                logged.append((parts, share))
        logged = self._added_up(logged)
        for player, optimiser in zip(players, self.optimisers, strict=True):
            if self.private is None:
                optimisers.clip(player)
            rate = rate_at(player.optimiser, progress, schedule)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
        return logged

    @contextlib.contextmanager
    def _shared(self, batch: Batch, step: int, *, whole_pass: bool) -> Iterator[torch.Generator]:
        """A step's source of randomness; within, passes over parts of a batch are as one over all of it."""
        several = self.processes.count > 1
        seed = step_seed(self.settled.seed, step)
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
        moved = [p.grad for player in self.learner.players for p in player.parameters if p.grad is not None]
        self.processes.add_up([*moved, losses])
        return [(dict(zip(names, losses.unbind(), strict=True)), 1.0)]
