"""Every axis of the product space and every point on it, as plain frozen settings (no torch here).

One class is one point: `backbone` is `Dense | Conv | Stacked | …`, and so on. A point
owns exactly the settings that mean something for it. The networks behind them are built in `backbones/`,
`bottlenecks/`, `corruptions` and `critics`.
"""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.model.image_sum import parse_sum
from isthmus.model.setting import Settings, Widths, setting

Activation = Literal["relu", "leaky", "gelu", "silu", "tanh", "sigmoid"]
Norm = Literal["none", "batch"]
Output = Literal["sigmoid", "linear"]
_OUTPUT = "range of the decoder: sigmoid keeps it in [0, 1]; linear is clipped on the way out"

# ---------------------------------------------------------------- backbone: the encoder and its mirror image


@dataclass(frozen=True, kw_only=True)
class Dense(Settings):
    kind: ClassVar[str] = "dense"
    width: Widths = setting((512, 256), "hidden layers of the encoder")
    decoder: Widths | None = setting(None, "hidden layers of the decoder; auto mirrors the encoder")
    norm: Norm = setting("none", "batch normalisation after each hidden layer")
    activation: Activation = setting("relu", "nonlinearity of the hidden layers")
    output: Output = setting("sigmoid", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Conv(Settings):
    kind: ClassVar[str] = "conv"
    width: Widths = setting((32,), "channels of the first stage (then ×2, ×4), or one number per stage")
    depth: int | None = setting(None, "number of halvings after the stem; auto ends near 8×8", low=0, high=10)
    blocks: int = setting(2, "residual or plain blocks per stage", low=0, high=32)
    repeats: int = setting(1, "times each block is run with the same weights", low=1, high=32)
    residual: bool = setting(True, "blocks add to their input")
    norm: Norm = setting("none", "batch normalisation")
    stem: int = setting(2, "space-to-depth factor at the input, undone at the output", low=1, high=16)
    down: Literal["stride", "pool"] = setting("stride", "halve by a strided convolution or by max pooling")
    up: Literal["shuffle", "nearest", "transposed"] = setting(
        "shuffle", "double by pixel shuffle, repetition, or transposed convolution"
    )
    padding: Literal["zeros", "reflect"] = setting(
        "zeros", "border of convolutions; zeros leak position, reflect does not"
    )
    activation: Activation = setting("relu", "nonlinearity")
    start: Literal["random", "cosine"] = setting(
        "random", "first weights of a grid code's straight path; cosine: a block transform as in JPEG"
    )
    refines: bool = setting(
        False,
        "show what the cosine path paints to the decoder's last stage; the stages only correct that path",
    )
    encoder: Literal["stages", "linear"] = setting(
        "stages", "linear: the encoder of a grid code is its straight path alone, a learned block transform"
    )
    finest: int | None = setting(
        None,
        "blocks of the decoder's last stage, on the finest grid; auto: as many as elsewhere",
        low=0,
        high=32,
    )
    skips: bool = setting(False, "hand encoder stages to the decoder: restores better, has no narrow code")
    predicts: Literal["image", "difference"] = setting(
        "image", "what the decoder paints: the image, or what is to be added to the encoder's input"
    )
    output: Output = setting("sigmoid", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Stacked(Settings):
    kind: ClassVar[str] = "stacked"
    width: Widths = setting(
        (32, 64), "channels of one convolution per halving; the code itself is the last one in a grid"
    )
    decoder: Widths | None = setting(
        None,
        "channels of the decoder's convolutions, first those of the grid that a vector is unfolded to; one "
        "more than there are doublings puts a plain convolution at the end; auto mirrors the encoder",
    )
    norm: Norm = setting("none", "batch normalisation after each convolution but the last")
    down: Literal["stride", "pool"] = setting("stride", "halve by a strided convolution or by max pooling")
    up: Literal["transposed", "nearest"] = setting(
        "transposed", "double by a transposed convolution, or repeat pixels after a convolution"
    )
    padding: Literal["zeros", "reflect"] = setting(
        "zeros", "border of convolutions; zeros leak position, reflect does not"
    )
    activation: Activation = setting("relu", "nonlinearity")
    output: Output = setting("sigmoid", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Recurrent(Settings):
    kind: ClassVar[str] = "recurrent"
    width: Widths = setting((256,), "size of the hidden state")
    depth: int = setting(1, "stacked GRU layers", low=1, high=8)
    output: Output = setting("sigmoid", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Attention(Settings):
    kind: ClassVar[str] = "attention"
    width: Widths = setting((128,), "token width")
    depth: int = setting(3, "transformer blocks in the encoder and in the decoder", low=1, high=48)
    heads: int = setting(4, "attention heads; divides the width", low=1, high=64)
    patch: int | None = setting(
        None, "side of a patch; auto gives 7 to 8 patches a side, or the code's stride", low=1, high=64
    )
    output: Output = setting("sigmoid", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Filters(Settings):
    kind: ClassVar[str] = "filters"
    side: int = setting(6, "side of a filter in pixels, at least the code's stride", low=1, high=32)
    start: Literal["random", "winners"] = setting(
        "winners", "first filters: random, or the directions that single winners of the images' pieces take"
    )
    output: Output = setting("linear", _OUTPUT)


Backbone = Dense | Conv | Stacked | Recurrent | Attention | Filters

# ---------------------------------------------------------------- positions: does the net know where it is


@dataclass(frozen=True, kw_only=True)
class NoPositions(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class Coordinates(Settings):
    kind: ClassVar[str] = "coordinates"


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Settings):
    kind: ClassVar[str] = "sinusoidal"
    bands: int = setting(4, "frequencies 1, 2, 4, … per axis, a sine and a cosine each", low=1, high=12)


@dataclass(frozen=True, kw_only=True)
class Learned(Settings):
    kind: ClassVar[str] = "learned"
    channels: int = setting(16, "numbers learned per grid position", low=1, high=4096)


Positions = NoPositions | Coordinates | Sinusoidal | Learned

# ---------------------------------------------------------------- corruption: of the encoder's input only

_CONDITION = "tell the encoder how much was done, as one more input channel"


@dataclass(frozen=True, kw_only=True)
class NoCorruption(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Settings):
    kind: ClassVar[str] = "gaussian"
    sigma: float = setting(50.0, "standard deviation in units of 1/255", low=0.0, high=2550.0)
    sigma_low: float | None = setting(None, "draw σ uniformly from here up to sigma, one per image", low=0.0)
    clip: bool = setting(False, "clip the noisy image to [0, 1]")
    condition: bool = setting(False, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class SaltPepper(Settings):
    kind: ClassVar[str] = "salt-pepper"
    amount: float = setting(0.1, "share of pixels set to black or white", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Settings):
    kind: ClassVar[str] = "poisson"
    peak: float = setting(30.0, "photons counted at white", low=0.1, high=1e6)


@dataclass(frozen=True, kw_only=True)
class Mask(Settings):
    kind: ClassVar[str] = "mask"
    shape: Literal["pixels", "blocks", "patches", "strokes", "mixed"] = setting(
        "patches", "single pixels, free blocks, patches of a fixed grid, scratches, or one of them per image"
    )
    amount: float = setting(0.5, "share of the image that is hidden", low=0.0, high=0.99)
    amount_low: float | None = setting(
        None, "draw the share uniformly from here up to amount, one per image", low=0.0, high=0.99
    )
    size: int = setting(4, "side of a block or patch; the largest in a mixture", low=1, high=256)
    fill: Literal["zero", "smooth"] = setting(
        "zero", "what the encoder sees in hidden places: black, or averages of what is near"
    )
    loss: Literal["all", "missing"] = setting("all", "which pixels the objective looks at")
    condition: bool = setting(True, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class Blur(Settings):
    kind: ClassVar[str] = "blur"
    sigma: float = setting(1.5, "standard deviation of the Gaussian kernel in pixels", low=0.1, high=20.0)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Settings):
    kind: ClassVar[str] = "jpeg"
    quality: int = setting(20, "JPEG quality", low=1, high=100)
    quality_high: int | None = setting(
        None, "draw the quality uniformly up to here, one per image", low=1, high=100
    )


@dataclass(frozen=True, kw_only=True)
class Recorrupted(Settings):
    kind: ClassVar[str] = "recorrupted"
    sigma: float | None = setting(
        None,
        "for images that are noisy themselves: their noise, in units of 1/255; auto is measured",
        low=0.01,
        high=255.0,
    )
    condition: bool = setting(True, _CONDITION)


@dataclass(frozen=True, kw_only=True)
class BlindSpot(Settings):
    kind: ClassVar[str] = "blind-spot"
    amount: float = setting(
        0.02,
        "for images that are noisy themselves: share of pixels guessed from the others",
        low=0.001,
        high=0.5,
    )


Corruption = (
    NoCorruption | GaussianNoise | SaltPepper | PoissonNoise | Mask | Blur | Jpeg | Recorrupted | BlindSpot
)

# ---------------------------------------------------------------- bottleneck: what kind of code

_WARMUP = "share of the training over which the weight rises from zero"
_RECTIFIED = "a ReLU on the code: no number in it is negative"


@dataclass(frozen=True, kw_only=True)
class Plain(Settings):
    kind: ClassVar[str] = "plain"
    rectified: bool = setting(False, _RECTIFIED)


@dataclass(frozen=True, kw_only=True)
class L2(Settings):
    kind: ClassVar[str] = "l2"
    weight: float = setting(0.1, "λ of λ‖z‖², per image", low=0.0)
    rectified: bool = setting(False, _RECTIFIED)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class L1(Settings):
    kind: ClassVar[str] = "l1"
    weight: float = setting(0.05, "λ of λ‖z‖₁, per image; codes are rectified, so zeros are exact", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class KLSparse(Settings):
    kind: ClassVar[str] = "kl-sparse"
    weight: float = setting(1.0, "weight of Σ KL(ρ‖ρ̂)", low=0.0)
    target: float = setting(0.05, "ρ: mean activation asked of every unit", low=1e-4, high=0.9)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class TopK(Settings):
    kind: ClassVar[str] = "top-k"
    k: int = setting(16, "units kept per image (per position in a grid code), by magnitude", low=1)


@dataclass(frozen=True, kw_only=True)
class L0(Settings):
    kind: ClassVar[str] = "l0"
    weight: float = setting(0.1, "cost of one expected active unit, in nats per image", low=0.0)
    active: float | None = setting(
        None, "asked number of active units per image: the weight is then steered to it", low=0.1
    )
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Contractive(Settings):
    kind: ClassVar[str] = "contractive"
    weight: float = setting(0.03, "λ of λ‖∂code/∂input‖²_F over the code's variance, per image", low=0.0)
    probes: int = setting(1, "random probes where the Jacobian has no closed form", low=1, high=64)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Settings):
    kind: ClassVar[str] = "gaussian"
    weight: float = setting(1.0, "β of the KL to the standard normal", low=0.0)
    free_bits: float = setting(0.0, "nats per unit that cost nothing", low=0.0)
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Quantised(Settings):
    kind: ClassVar[str] = "quantised"
    method: Literal["fsq", "vq"] = setting("fsq", "finite scalar quantisation, or a learned codebook")
    levels: int = setting(8, "fsq: values per number", low=2, high=256)
    entries: int = setting(256, "vq: size of the codebook", low=2, high=65536)
    groups: int | None = setting(
        None,
        "vq: sub-vectors that a code is cut into; auto takes 4 numbers each, the whole column in a grid",
        low=1,
    )
    commitment: float = setting(0.25, "vq: weight that holds the encoder to its entry", low=0.0)


@dataclass(frozen=True, kw_only=True)
class Entropy(Settings):
    kind: ClassVar[str] = "entropy"
    weight: float = setting(1.0, "weight of the rate, in nats per image", low=0.0)
    low: float | None = setting(
        None, "λ at quality 1 of bits per pixel + λ·255²·mse; auto: one rate, set by the weight", low=1e-6
    )
    high: float = setting(0.0483, "λ at quality 100, where low is given; each image draws its own", low=1e-6)
    quality: float = setting(50.0, "quality of the codes that encode gives", low=1.0, high=100.0)
    context: bool = setting(False, "foretell each value from those coded before it")
    warmup: float = setting(0.0, _WARMUP, low=0.0, high=1.0)


Bottleneck = Plain | L2 | L1 | KLSparse | TopK | L0 | Contractive | Gaussian | Quantised | Entropy

# ---------------------------------------------------------------- critic: a second player


@dataclass(frozen=True, kw_only=True)
class NoCritic(Settings):
    kind: ClassVar[str] = "none"


@dataclass(frozen=True, kw_only=True)
class OnCodes(Settings):
    kind: ClassVar[str] = "on-codes"
    weight: float = setting(0.02, "weight of looking like the prior", low=0.0)
    width: int = setting(256, "hidden units of the critic", low=1, high=8192)
    rate: float = setting(5e-4, "the critic's learning rate", low=0.0)
    smooth: float = setting(1.0, "weight γ of the critic's squared gradient at both kinds of codes", low=0.0)


@dataclass(frozen=True, kw_only=True)
class OnImages(Settings):
    kind: ClassVar[str] = "on-images"
    weight: float = setting(0.01, "weight of looking real, beside the image terms", low=0.0)
    features: float = setting(0.1, "weight of matching the critic's features", low=0.0)
    width: int = setting(32, "channels of the critic's first layer", low=1, high=1024)
    rate: float = setting(4e-4, "the critic's learning rate", low=0.0)


Critic = NoCritic | OnCodes | OnImages

# ---------------------------------------------------------------- what is asked, and how it is sought


@dataclass(frozen=True, kw_only=True)
class Objective(Settings):
    image: str = setting(
        "mse",
        "mse, bce, l1, psnr, ssim, gaussian-nll; or a sum such as 0.8*mse+0.2*ssim@0.3 (@: warm-up share)",
    )
    weight: float = setting(1.0, "weight of the whole image part", low=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sum(self.image)


@dataclass(frozen=True, kw_only=True)
class Optimiser(Settings):
    name: Literal["adamw", "sgd", "gd"] = setting(
        "adamw", "AdamW, SGD with momentum, or full-batch gradient descent"
    )
    rate: float | None = setting(None, "peak learning rate; auto: 0.002 adamw, 0.1 sgd, 0.5 gd", low=0.0)
    batch: int | None = setting(None, "images per step; auto: by image size; gd always takes all", low=1)
    epochs: float | None = setting(
        None, "length, in passes over the images, where none is asked for; auto: five minutes", low=1e-3
    )
    momentum: float = setting(0.9, "memory of gradients: of sgd, first β of adamw", low=0.0, high=0.9999)
    beta2: float = setting(0.99, "memory of squared gradients: second β of adamw", low=0.0, high=0.99999)
    weight_decay: float = setting(0.0, "decoupled decay of matrices and kernels", low=0.0)
    schedule: Literal["constant", "cosine", "step"] = setting("cosine", "how the rate falls")
    warmup: float = setting(0.02, "share of the training over which the rate rises", low=0.0, high=1.0)
    drops: int = setting(3, "step schedule: how many equally spaced drops", low=1, high=100)
    factor: float = setting(
        0.3, "step schedule: the rate is multiplied by this at each drop", low=0.0, high=1.0
    )
    clip: float = setting(1.0, "largest gradient norm; 0 switches clipping off", low=0.0)
    ema: float = setting(
        0.995, "decay of the averaged weights that are validated and kept; 0 is off", low=0.0, high=0.99999
    )


AXES: dict[str, tuple[type[Settings], ...]] = {
    "backbone": (Dense, Conv, Stacked, Recurrent, Attention, Filters),
    "positions": (NoPositions, Coordinates, Sinusoidal, Learned),
    "corruption": (
        NoCorruption,
        GaussianNoise,
        SaltPepper,
        PoissonNoise,
        Mask,
        Blur,
        Jpeg,
        Recorrupted,
        BlindSpot,
    ),
    "bottleneck": (Plain, L2, L1, KLSparse, TopK, L0, Contractive, Gaussian, Quantised, Entropy),
    "critic": (NoCritic, OnCodes, OnImages),
    "objective": (Objective,),
    "optimiser": (Optimiser,),
}
