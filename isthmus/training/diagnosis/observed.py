"""One pass of a trained model over held-out images, and the few numbers that the doctor needs from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.images.subsets import even_rows
from isthmus.model.autoencoder import Autoencoder

IMAGES = 1000
FEW = 100  # fewer held-out images say little about single units: then training images are looked at
SCRAMBLED = 128
PIXELS = 2**21  # pixel-channels per pass
BUDGET = 2**26  # and in all
MARGIN = 0.05
CONSTANT = 1e-4  # of the code's root mean square: a unit that spreads less is the same for every image
COLLAPSED = 0.01  # nats: a gaussian unit with less holds no information


@dataclass(frozen=True)
class Observed:
    """Measurements of a pass. A unit is a number of a vector code, or a channel of a grid code.

    Attributes:
        images: looked at.
        image_numbers, code_numbers: of one image, and of its code.
        units, constant_units: and those that are the same for every image.
        collapsed_units, kl: of a gaussian code, units whose KL is below 0.01 nats (at a position of a
            grid), and nats per image; None for others.
        explained: 1 − squared error / variance about the mean image: 1 is perfect, 0 no better than it.
        explained_scrambled: the same for images whose pixels were put in random order; None where a
            corruption makes copying useless.
        outside: share of the decoder's numbers more than 0.05 below 0 or above 1.
        low, high: 0.1 % and 99.9 % of the pixels lie below.
    """

    images: int
    image_numbers: int
    code_numbers: int
    units: int
    constant_units: int
    collapsed_units: int | None
    kl: float | None
    explained: float
    explained_scrambled: float | None
    outside: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """JSON values."""
        return asdict(self)


@torch.no_grad()
def observe(model: Autoencoder, images: ImageSet, *, seed: int = 0) -> Observed:
    """Show at most 1,000 of `images`, evenly spaced, to a model in evaluation mode.

    They are corrupted as in training; codes are deterministic. Images larger than those of the training are
    cut to their middle or, for a vector code, resized.

    Args:
        images: of the model's channels.
        seed: of corruption and scrambling.
    """
    was_training = model.training
    model.eval()
    try:
        return _Watcher(model, images, seed).result()
    finally:
        model.train(was_training)


class _Watcher:
    """Sums over the batches of one set."""

    def __init__(self, model: Autoencoder, images: ImageSet, seed: int) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        numbers = model.size[0] * model.size[1] * model.channels
        most = max(1, min(IMAGES, len(images), BUDGET // numbers))
        chosen = even_rows(len(images), most)
        # Whole images where they have the size of the training's, else the middle; a vector code resizes.
        crop = model.size if model.recipe.geometry.is_grid else None
        self.batches = iter_batches(images, chosen, batch=max(1, min(250, PIXELS // numbers)), crop=crop)
        self.scrambles = model.recipe.corruption.is_identity

    def result(self) -> Observed:
        units, error, scrambled = _Units(), _Explained(), _Explained()
        outside = count = 0
        samples: list[Tensor] = []
        kl: list[Tensor] = []
        code_numbers = 0
        for batch in self.batches:
            images = self.model.canvas.fit(batch.images.to(self.device))
            trace = self.model.trace(images, self.generator, sample=False)
            values, output = trace.code.values.detach(), trace.output.detach()
            units.add(values)
            error.add(output.clamp(0, 1), trace.images)  # of pairs, their targets
            outside += int(((output < -MARGIN) | (output > 1 + MARGIN)).sum())
            count += output.numel()
            samples.append(trace.images.flatten()[:: max(1, trace.images.numel() // 20_000)])
            code_numbers = values[0].numel()
            if self.model.recipe.bottleneck.is_stochastic:
                # (N, units · positions) → nats of each unit at one position
                per = self.model.bottleneck.kl_per_unit(trace.code)
                kl.append(per.view(len(per), values.shape[1], -1))
            if self.scrambles and scrambled.count < SCRAMBLED:
                mixed = self._scrambled(images[: SCRAMBLED - scrambled.count])
                made = self.model.trace(mixed, self.generator, sample=False).output.detach()
                scrambled.add(made.clamp(0, 1), mixed)
        pixels = torch.cat(samples).float()
        low, high = torch.quantile(
            pixels[:: max(1, len(pixels) // 1_000_000)], torch.tensor([0.001, 0.999]).to(pixels)
        )
        nats = torch.cat(kl) if kl else None
        return Observed(
            images=error.count,
            image_numbers=trace.images[0].numel(),
            code_numbers=code_numbers,
            units=units.count,
            constant_units=units.constant(),
            collapsed_units=None if nats is None else int((nats.mean((0, 2)) < COLLAPSED).sum()),
            kl=None if nats is None else float(nats.sum((1, 2)).mean()),
            explained=error.share(),
            explained_scrambled=scrambled.share() if self.scrambles else None,
            outside=outside / count,
            low=float(low),
            high=float(high),
        )

    def _scrambled(self, images: Tensor) -> Tensor:
        # Each image is scrambled differently: only its histogram stays, so there is no structure to learn.
        n, channels, height, width = images.shape
        order = torch.rand((n, 1, height * width), generator=self.generator, device=images.device).argsort(-1)
        return images.flatten(2).gather(2, order.expand(-1, channels, -1)).view(images.shape)


class _Units:
    """Spread of each unit over images and positions."""

    def __init__(self) -> None:
        self.low: Tensor | None = None
        self.high: Tensor | None = None
        self.squares = 0.0
        self.numbers = 0

    def add(self, values: Tensor) -> None:
        rows = values.float().flatten(2).movedim(1, 2).flatten(0, 1) if values.ndim > 2 else values.float()
        low, high = rows.amin(0), rows.amax(0)
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)
        self.squares += float(rows.square().sum())
        self.numbers += rows.numel()

    @property
    def count(self) -> int:
        return 0 if self.low is None else len(self.low)

    def constant(self) -> int:
        if self.low is None or self.high is None:
            return 0
        scale = (self.squares / max(self.numbers, 1)) ** 0.5
        return int((self.high - self.low <= CONSTANT * scale).sum())


class _Explained:
    """Squared error against the variance about the mean image."""

    def __init__(self) -> None:
        self.count = 0
        self.error = 0.0
        self.total: Tensor | None = None
        self.squares = 0.0

    def add(self, made: Tensor, images: Tensor) -> None:
        self.count += len(images)
        self.error += float((made - images).square().sum(dtype=torch.float64))
        self.squares += float(images.square().sum(dtype=torch.float64))
        total = images.double().sum(0)
        self.total = total if self.total is None else self.total + total

    def share(self) -> float:
        if self.total is None:
            return 0.0
        variance = self.squares - float(self.total.square().sum()) / self.count
        return 1 - self.error / variance if variance > 1e-9 * max(self.squares, 1e-30) else 0.0
