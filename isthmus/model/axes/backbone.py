"""The backbone: the encoder and its mirror image."""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.model.setting import Settings, Widths, setting

Activation = Literal["relu", "leaky", "gelu", "silu", "tanh", "sigmoid"]
Norm = Literal["none", "batch"]
Output = Literal["sigmoid", "linear"]
_OUTPUT = "range of the decoder: sigmoid keeps it in [0, 1]; linear is clipped on the way out"


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
