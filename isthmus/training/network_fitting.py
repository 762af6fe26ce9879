"""`fit_network`: a small network, trained by the same loop as an autoencoder.

For flows over codes, networks that predict how codes move, and classifiers: each is a module, one loss per
image and a pass that gives a `Trace`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.model import axes
from isthmus.model.objective import Objective, Term
from isthmus.model.trace import Corrupted, Latent, NoNetwork, Trace
from isthmus.training.callbacks import Listener, stop_on_signal
from isthmus.training.data import TrainingData
from isthmus.training.plan import TrainPlan
from isthmus.training.players import Player
from isthmus.training.trainer import Trainer


class Pass(Protocol):
    """A network's pass over a batch `(N, C, H, W)`: its outputs, and the targets that they should equal."""

    def __call__(
        self, images: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class FittedNetwork:
    """How a network was fitted.

    Attributes:
        steps: that were taken; best_step, best_loss: of the lowest validation loss, if images were held out.
        seconds: of training.
        batch: images per step.
    """

    steps: int
    best_step: int
    best_loss: float | None
    seconds: float
    batch: int


class NetworkLearner:
    """A network with one player.

    Args:
        module: the network.
        loss: name of the loss, and the function that gives it for each image of a trace.
        take_pass: outputs and targets of a batch.
        optimiser: settings of its optimiser.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: tuple[str, Callable[[Trace], Tensor]],
        take_pass: Pass,
        optimiser: axes.Optimiser,
    ) -> None:
        self.module, self.take_pass = module, take_pass
        self.precision = torch.float32
        name, term = loss
        objective = Objective((Term(name, 1.0, term),))
        self.players: tuple[Player, ...] = (Player(name, tuple(module.parameters()), objective, optimiser),)

    def set_precision(self, precision: torch.dtype) -> None:
        self.precision = precision

    def trace(self, images: Tensor, generator: torch.Generator, labels: Tensor | None) -> Trace:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            output, target = self.take_pass(images, labels, generator)
        outputs = output.float()
        corrupted = Corrupted(target, target)
        return Trace(images, corrupted, Latent(outputs), outputs, outputs, NoNetwork(), generator, labels)


def fit_network(
    learner: NetworkLearner,
    images: ImageSet,
    *,
    steps: int,
    batch: int,
    held_out: ImageSet | None = None,
    validations: int = 1,
    seed: int = 0,
    precision: str = "float32",
    balance: bool = False,
    listener: Listener | None = None,
    stop: Interruption | None = None,
) -> FittedNetwork:
    """Train the learner's network; it keeps the best averaged weights, or the last ones without `held_out`.

    Args:
        images: of one size.
        steps: of training.
        batch: images per step, at most as many as there are.
        validations: how often the loss on `held_out` is measured.
        seed: of the order of images and everything random in a step.
        balance: draw classes equally often.
        listener: called about twice a second.
        stop: ends the training at Ctrl-C after a step; the weights are those until then.
    """
    assert images.shape is not None
    plan = TrainPlan(
        size=images.shape[:2],
        batch=min(batch, len(images)),
        steps=steps,
        validate_every=max(1, steps // validations),
        precision=precision,
        seed=seed,
        balance=balance,
    )
    trainer = Trainer(learner, TrainingData(images, held_out), plan, listener=listener)
    if stop is None:
        trainer.fit()
    else:
        with stop, stop_on_signal() as should_stop:
            if not trainer.fit(should_stop=should_stop):
                raise KeyboardInterrupt
    trainer.finish()
    learner.module.requires_grad_(False)
    state = trainer.state
    return FittedNetwork(state.step, state.best_step, state.best_loss, state.seconds, plan.batch)
