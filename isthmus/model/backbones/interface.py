"""The interface of all backbones: the sizes they are built for, the encoder's output, shared small layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model.geometry import Geometry
from isthmus.model.trace import Latent


@dataclass(frozen=True)
class Plan:
    """Sizes a backbone is built for.

    Attributes:
        channels: of the decoder's output: the image's, and those that mark defects.
        seen: of the encoder's images, which may differ from the decoder's in training on pairs.
        inputs: of the encoder's input: `seen`, and one more when a condition map is given.
        size: `(H, W)` of the training images, padded to a multiple of `multiple`.
        geometry: shape of the code.
        transforms: the decoder's images are others than the encoder's: pairs are trained on.
        features: channels the bottleneck asks the encoder for (twice the code's for a Gaussian).
        unit_columns: the decoder's first layer has columns of unit norm, so that a sparsity penalty cannot be
            dodged by small codes and large weights.
        marks: how many of `channels`, the last ones, mark defects and are no part of the image.
    """

    channels: int
    seen: int
    inputs: int
    size: tuple[int, int]
    geometry: Geometry
    features: int
    unit_columns: bool
    transforms: bool = False
    marks: int = 0


@dataclass
class Features:
    """An encoder's output: `h (N, F)` or `(N, F, h, w)`, and stages for a decoder with skips."""

    h: Tensor
    skips: list[Tensor] = field(default_factory=list)


class Encoder(nn.Module):
    """`forward(x (N, inputs, H, W), visible (N, 1, H, W) | None = None) -> Features`.

    Attributes:
        multiple: the sides of `x` are multiples of it.
    """

    multiple: int = 1

    @property
    def projection(self) -> nn.Linear | None:
        """The linear layer from hidden features to a vector code; None where no single layer makes it."""
        return None

    def centre_at(self, mean: Tensor) -> None:
        """Start with a code near zero for an image of the mean colour `mean (C,)`, if possible."""

    @property
    def direct(self) -> nn.Conv2d | None:
        """For pairs, the linear map of patches to which the decoder's output is added; else None."""
        return None

    def weights_for_pairs(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of an encoder of single images, converted for this encoder of the inputs of pairs."""
        return dict(weights)

    def start_with(self, decoder: Decoder, patches: Tensor, *, winning: int | None, seed: int) -> None:
        """Compute first weights from `patches (n, C, side, side)`, where the backbone requested some.

        `winning` units of a code will be kept, None for all.
        """
        raise NotImplementedError

    def start_at_components(
        self, decoder: Decoder, batches: Callable[[], Iterable[Tensor]], seed: int
    ) -> None:
        """Begin with the principal components of the training images as the code, where the backbone does.

        Every call of `batches` gives these images, `(n, inputs, H, W)` each.
        """
        raise NotImplementedError

    def responses(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → the response of the backbone's `dense_layer` at every place, `(N, K, h, w)`."""
        raise NotImplementedError


class Decoder(nn.Module):
    """`forward(z, (H, W) | None = None, skips=()) -> (N, channels, H, W)`, before the range is applied.

    Without a size, a vector code gives an image of the training images' padded size, a grid code one of its
    own size times the stride.

    Attributes:
        built_size: `(H, W)` of the training images, padded; `built_stride`: of a grid code.
    """

    built_size: tuple[int, int] = (0, 0)
    built_stride: int | None = None

    def sample(
        self,
        z: Tensor,
        size: tuple[int, int] | None = None,
        skips: object = (),
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """An image that fits the code; the reconstruction, where the backbone does not sample.

        Without a generator the noise is fixed, and the same for every image.
        """
        image: Tensor = self(z, size, skips)
        return image

    def denoise(self, code: Latent, target: Tensor, generator: torch.Generator) -> tuple[Latent, Tensor]:
        """The training of a decoder that samples: its estimate of `target`, from a noisy version of it.

        Returns:
            The code with the weight of each image's error, and images of the target's shape.
        """
        raise NotImplementedError

    def image_size(self, z: Tensor) -> tuple[int, int]:
        """`(H, W)` of the image that a code decodes to where no size is given."""
        if self.built_stride is None:
            return self.built_size
        return z.shape[-2] * self.built_stride, z.shape[-1] * self.built_stride

    def linear_energy(self) -> Tensor | None:
        """`(C,)`: squared length of the image of a unit of each channel of a grid code, on the linear path
        from code to image; None where there is no such path.
        """
        return None


class PatchLayer(nn.Conv2d):
    """A linear map of patches of `side` pixels, reflected at borders; at first a copy of the image."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side)
        assert self.bias is not None
        with torch.no_grad():
            self.weight.zero_()
            self.bias.zero_()
            middle = self.weight[:, :, side // 2, side // 2]
            middle.copy_(torch.eye(outputs) if inputs == outputs else torch.full_like(middle, 1 / inputs))

    def forward(self, x: Tensor) -> Tensor:
        edge = self.kernel_size[0] // 2
        mode = "reflect" if min(x.shape[-2:]) > edge else "replicate"
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(F.pad(x.float(), (edge,) * 4, mode=mode), self.weight, self.bias)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """`(N, C, H, W)` as they are, or where they have other channels their mean in each of `channels`."""
    if images.shape[1] == channels:
        return images
    return images.mean(1, keepdim=True).expand(-1, channels, -1, -1)


_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation(name: str) -> nn.Module:
    return _ACTIVATIONS[name]()


class Entry(nn.Module):
    """The decoder's first, linear layer: a matrix for vectors, a 1×1 convolution for grids.

    With `unit` each column (the image of one code unit) is scaled to norm 1 in every pass.
    """

    def __init__(self, inputs: int, outputs: int, *, grid: bool, unit: bool) -> None:
        super().__init__()
        shape = (outputs, inputs, 1, 1) if grid else (outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.unit = unit
        nn.init.normal_(self.weight, std=1 / math.sqrt(inputs))

    def forward(self, z: Tensor) -> Tensor:
        weight = F.normalize(self.weight, dim=0) if self.unit else self.weight
        return F.conv2d(z, weight, self.bias) if weight.ndim == 4 else F.linear(z, weight, self.bias)
