"""What one pass through the model leaves behind. Every term of every player is a function of this alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Protocol

import torch
from torch import Tensor, nn


class Network(Protocol):
    """What a term may ask of the model that left a trace."""

    @property
    def encoder(self) -> nn.Module: ...

    @property
    def critic(self) -> nn.Module | None: ...

    @property
    def noise_log_sigma(self) -> Tensor: ...

    def decode_prior(self, values: Tensor, size: tuple[int, ...]) -> Tensor: ...


class NoNetwork:
    """For the trace of a classifier or a prior, whose terms ask for none of an autoencoder's parts."""

    encoder: nn.Module = nn.Identity()
    critic: nn.Module | None = None
    noise_log_sigma: Tensor = torch.zeros(())

    def decode_prior(self, values: Tensor, size: tuple[int, ...]) -> Tensor:
        raise NotImplementedError


@dataclass
class Latent:
    """A code on its way through the network.

    Attributes:
        values: `(N, C)` or `(N, C, h, w)`, what the decoder reads.
        parts: further inputs of the bottleneck's penalty, e.g. `mean` and `log_variance`.
        image_weight, code_weight: `(N,)` what each image's error and its code count in the objective, where
            the bottleneck trades the two image by image; None where all count 1.
    """

    values: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    image_weight: Tensor | None = None
    code_weight: Tensor | None = None


@dataclass(frozen=True)
class Corrupted:
    """What a corruption returns.

    Attributes:
        input: `(N, C, H, W)` what the encoder sees.
        target: `(N, C, H, W)` what the decoder is compared with.
        weight: `(N, 1, H, W)` per-pixel weight of the image terms with mean 1, or None.
        condition: `(N, 1, H, W)` how strongly each pixel was corrupted, in [0, 1], or None.
        visible: `(N, 1, H, W)` boolean, False where pixels were removed, or None.
        mask: `(N, 1, H, W)` 1 where a defect was planted, else 0, or None.
    """

    input: Tensor
    target: Tensor
    weight: Tensor | None = None
    condition: Tensor | None = None
    visible: Tensor | None = None
    mask: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Corrupted:
        """The same of every part: a cut, a turn."""
        parts = [getattr(self, field.name) for field in fields(self)]
        return Corrupted(*(None if part is None else change(part) for part in parts))  # type: ignore[arg-type]

    def select(self, index: int) -> Corrupted:
        """A single image of the batch, still `(1, …)`."""
        return self.mapped(lambda part: part[index : index + 1])


@dataclass
class Trace:
    """One pass over a batch.

    Attributes:
        images: `(N, C, H, W)` the clean images, float32 in [0, 1].
        corrupted: the encoder's input, the target, weight, condition and visibility.
        code: the bottleneck's output.
        raw: `(N, C, H, W)` float32, the decoder's last layer before its range is applied.
        output: `(N, C, H, W)` the reconstruction in the recipe's range.
        model: who made it, for terms that need a network (Jacobian, critic).
        generator: the step's only source of randomness.
        labels: `(N,)` or None.
        marked: `(N, 1, H, W)` logits of the channel that marks defects, or None.
    """

    images: Tensor
    corrupted: Corrupted
    code: Latent
    raw: Tensor
    output: Tensor
    model: Network
    generator: torch.Generator
    labels: Tensor | None = None
    marked: Tensor | None = None

    @property
    def pixels(self) -> int:
        """Pixel-channels per image: what turns nats per image into nats per pixel-channel."""
        return self.images[0].numel()
