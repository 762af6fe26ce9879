"""`PrivateGradients`: one gradient per image, each clipped, summed, and hidden in Gaussian noise.

Each gradient comes from a pass of one image alone, so that no layer can mix two images. Where possible, torch
computes many of these at once (`torch.func.vmap`); otherwise they are computed one by one. Clipping, noise
and scaling are those of Opacus' `DPOptimizer`.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.overrides import TorchFunctionMode

from isthmus.errors import CapabilityError
from isthmus.images.batches import Batch, Batches
from isthmus.images.store import ImageSet, Indices
from isthmus.training.optimisers import build_optimiser
from isthmus.training.plan import TrainPlan
from isthmus.training.players import GradientStrategy, Learner, Logged
from isthmus.training.privacy import PrivacyPlan

MAX_GRADIENT_NUMBERS = 2**24  # numbers in the gradients of all images that are held at one time
_COINS, _NOISE, _DRAWS = 4, 5, 6  # streams of Philox, besides those of `images.batches`

Losses = dict[str, Tensor]


class PrivateGradients(GradientStrategy):
    """The strategy of a private training, of one player in one process.

    Args:
        learner: with one player.
        terms: clip, noise and chance of an image to be drawn.
        count: images in the training set.
        batch: images per step on average.

    Attributes:
        seed: of all that is random here, and of crops and turns: those of an image must neither depend on how
            many were drawn before it nor be known to others. It is never stored.

    Raises:
        CapabilityError: the network stores statistics of the images that it sees.
    """

    is_private = True

    def __init__(self, learner: Learner, terms: PrivacyPlan, *, count: int, batch: int) -> None:
        from opacus.optimizers import DPOptimizer

        self.learner, self.terms, self.count = learner, terms, count
        # Opacus reads the optimiser's parameters; the caller moves them with its own.
        self.clipped = DPOptimizer(
            build_optimiser(learner.players[0]),
            noise_multiplier=terms.noise,
            max_grad_norm=terms.clip,
            expected_batch_size=batch,
        )
        self.seed = secrets.randbits(63) if terms.seed is None else terms.seed
        self._single = _SingleImages(learner)
        numbers = sum(p.numel() for p in learner.players[0].parameters)
        self._together = max(1, MAX_GRADIENT_NUMBERS // numbers)
        self._vectorised: bool | None = None

    def open_batches(self, images: ImageSet, plan: TrainPlan) -> Batches:
        return plan.open_batches(images, seed=self.seed, drawn=self.draw)

    def draw(self, step: int) -> Indices:
        """The images of this step, each drawn independently."""
        return np.flatnonzero(self._random(step, _COINS).random(self.count) < self.terms.rate)

    def backward(
        self,
        learner: Learner,  # noqa: ARG002
        batch: Batch,
        step: int,
        seed: int,  # noqa: ARG002
        progress: float,
    ) -> Logged:
        """Leave the noisy gradient in every parameter's `grad`; give the losses, which carry no noise."""
        device = next(self.learner.module.parameters()).device
        labels = None if batch.labels is None else batch.labels.to(device)
        return [(self.take_noisy_gradient(step, batch.images.to(device), labels, progress), 1.0)]

    def take_noisy_gradient(
        self, step: int, images: Tensor, labels: Tensor | None, progress: float
    ) -> Losses:
        """As `backward`, of images `(N, C, H, W)` that were drawn for this step; there may be none."""
        losses: dict[str, list[Tensor]] = {}
        generator = self._generator(step, _DRAWS, images.device)
        self.clipped.zero_grad()
        for rows in self._parts(len(images)):
            marks = None if labels is None else labels[rows]
            by_name, terms = self.gradients(images[rows], marks, generator, progress)
            for name, parameter in self._single.parameters.items():
                vars(parameter)["grad_sample"] = by_name[name]  # where Opacus looks
            self.clipped.clip_and_accumulate()
            for name, values in terms.items():
                losses.setdefault(name, []).append(values)
        self.clipped.generator = self._generator(step, _NOISE, images.device)
        self.clipped.add_noise()
        self.clipped.scale_grad()
        for parameter in self._single.parameters.values():
            vars(parameter).update(grad_sample=None, summed_grad=None)  # as large as a batch
        return {name: torch.cat(values).mean() for name, values in losses.items() if len(images)}

    def gradients(
        self, images: Tensor, labels: Tensor | None, generator: torch.Generator, progress: float
    ) -> tuple[dict[str, Tensor], Losses]:
        """By name, `(N, …)` gradients of each image's own loss, not yet clipped; and its losses `(N,)`."""
        if len(images) == 0:
            none = {name: p.new_zeros((0, *p.shape)) for name, p in self._single.parameters.items()}
            return none, {}
        if self._vectorised is None:
            self._vectorised = _can_vectorise(self.learner, images, labels)
        return self._single(images, labels, generator, progress, vectorised=self._vectorised)

    def _parts(self, count: int) -> Iterator[slice]:
        for start in range(0, max(count, 1), self._together):
            yield slice(start, min(start + self._together, count))

    def _generator(self, step: int, stream: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device=device).manual_seed(int(self._random(step, stream).integers(2**63)))

    def _random(self, step: int, stream: int) -> np.random.Generator:
        key = np.array([self.seed, step], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, stream], np.uint64)))


class _SingleImages:
    """Every image's gradient by a pass of its own."""

    def __init__(self, learner: Learner) -> None:
        moved = {id(p) for p in learner.players[0].parameters}
        named = learner.module.named_parameters()
        self.parameters: dict[str, nn.Parameter] = {name: p for name, p in named if id(p) in moved}
        self._pass = _Pass(learner)

    def __call__(
        self,
        images: Tensor,
        labels: Tensor | None,
        generator: torch.Generator,
        progress: float,
        *,
        vectorised: bool,
    ) -> tuple[dict[str, Tensor], Losses]:
        weights = {f"module.{name}": p.detach() for name, p in self.parameters.items()}

        def loss(moved: dict[str, Tensor], image: Tensor, label: Tensor | None) -> tuple[Tensor, Losses]:
            mark = None if label is None else label[None]
            value, terms = functional_call(self._pass, moved, (image[None], mark, generator, progress))
            return value, terms

        if vectorised:
            axes = (None, 0, None if labels is None else 0)
            with _AnyLayout():
                by_name, terms = vmap(grad(loss, has_aux=True), in_dims=axes, randomness="different")(
                    weights, images, labels
                )
        else:
            marks = [None] * len(images) if labels is None else list(labels)
            pairs = zip(images, marks, strict=True)
            each = [self._image_gradients(image, mark, generator, progress) for image, mark in pairs]
            by_name = {f"module.{n}": torch.stack([g[n] for g, _ in each]) for n in self.parameters}
            terms = {name: torch.stack([t[name] for _, t in each]) for name in each[0][1]}
        return {name: by_name[f"module.{name}"].detach() for name in self.parameters}, terms

    def _image_gradients(
        self, image: Tensor, label: Tensor | None, generator: torch.Generator, progress: float
    ) -> tuple[dict[str, Tensor], Losses]:
        mark = None if label is None else label[None]
        value, terms = self._pass(image[None], mark, generator, progress)
        parts = torch.autograd.grad(value, list(self.parameters.values()), allow_unused=True)
        pairs = zip(self.parameters.items(), parts, strict=True)
        return {n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs}, terms


class _Pass(nn.Module):
    """The first player's loss as a module, so that its weights can be handed in."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.module, self.learner = learner.module, learner

    def forward(
        self, images: Tensor, labels: Tensor | None, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, Losses]:
        player = self.learner.players[0]
        per_image, parts = player.objective(self.learner.trace(images, generator, labels), progress)
        loss = per_image.sum()
        return loss, {player.name: loss.detach(), **parts}


class _AnyLayout(TorchFunctionMode):
    """Within the block nothing is copied to channels-last, a layout that vmap does not support."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is Tensor.contiguous:
            return args[0]
        return func(*args, **(kwargs or {}))


def _can_vectorise(learner: Learner, images: Tensor, labels: Tensor | None) -> bool:
    """Whether vmap gives the same as single passes for this network; tested on noise, not on the images."""
    probe = copy.deepcopy(learner)
    before = {name: b.clone() for name, b in probe.module.named_buffers()}
    noise = torch.rand((2, *images.shape[1:]), generator=torch.Generator().manual_seed(0)).to(images)
    marks = None if labels is None else torch.zeros_like(labels[:1]).expand(2)
    alone = _SingleImages(probe)
    generator = torch.Generator(device=images.device).manual_seed(0)
    try:
        alone(noise, marks, generator, 0.5, vectorised=True)
        able = True
    except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError):
        able = False
        alone(noise, marks, generator, 0.5, vectorised=False)
    for name, buffer in probe.module.named_buffers():
        if not torch.equal(buffer, before[name]):
            raise CapabilityError(
                "this network cannot train privately: it stores statistics of images ({name})",
                id="training.statistics-not-private",
                name=name,
            )
    return able
