"""The backbone: the encoder and its mirror image.

A backbone's `network` is called with `(recipe, plan)` and gives an `(Encoder, Decoder)`.
"""

# ruff: noqa: RUF009 (`setting` returns a dataclass field)

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from isthmus.messages import Message
from isthmus.model.axes.backbone_facts import (
    CONV_MAPS,
    TOKEN_MAPS,
    Backbone,
    Output,
    narrower,
    vector_only,
)
from isthmus.model.geometry import Geometry
from isthmus.model.setting import Widths, setting

Activation = Literal["relu", "leaky", "gelu", "silu", "tanh", "sigmoid"]
Norm = Literal["none", "batch"]
OUTPUT_HELP = "range of the decoder: sigmoid keeps it in [0, 1]; linear is clipped on the way out"


@dataclass(frozen=True, kw_only=True)
class Dense(Backbone):
    kind: ClassVar[str] = "dense"
    network = "isthmus.model.backbones.dense:build"
    may_be_private = may_distribute = may_export = True
    width: Widths = setting((512, 256), "hidden layers of the encoder")
    decoder: Widths | None = setting(None, "hidden layers of the decoder; auto mirrors the encoder")
    norm: Norm = setting("none", "batch normalisation after each hidden layer")
    activation: Activation = setting("relu", "nonlinearity of the hidden layers")
    output: Output = setting("sigmoid", OUTPUT_HELP)

    @property
    def may_transform(self) -> bool:
        return True

    @property
    def has_batch_norm(self) -> bool:
        return self.norm == "batch"

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def refusal(self, geometry: Geometry) -> str | None:
        return vector_only(self, geometry)


@dataclass(frozen=True, kw_only=True)
class Conv(Backbone):
    kind: ClassVar[str] = "conv"
    network = "isthmus.model.backbones.conv:build"
    is_local = True
    fine_code = "32@4"
    may_be_private = may_distribute = may_export = True
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
        "give the output of the cosine path to the decoder's last stage; the stages only correct that path",
    )
    encoder: Literal["stages", "linear"] = setting(
        "stages", "linear: the encoder of a grid code is its straight path alone, a learned block transform"
    )
    decoder: Literal["stages", "shallow"] = setting(
        "stages",
        "shallow: the decoder of a grid code is its cosine path, corrected at 1/stem of the size; it is fast",
    )
    correction: int = setting(48, "channels of a shallow decoder's correction", low=1, high=1024)
    overlap: bool = setting(
        False, "let the pieces of the cosine path overlap in the encoder and in a shallow decoder"
    )
    finest: int | None = setting(
        None,
        "blocks of the decoder's last stage, on the finest grid; auto: as many as elsewhere",
        low=0,
        high=32,
    )
    skips: bool = setting(False, "hand encoder stages to the decoder: restores better, has no narrow code")
    predicts: Literal["image", "difference"] = setting(
        "image", "the decoder's output: the image, or what is to be added to the encoder's input"
    )
    output: Output = setting("sigmoid", OUTPUT_HELP)

    @property
    def may_transform(self) -> bool:
        return self.start != "cosine" and self.encoder != "linear"

    @property
    def finest_blocks(self) -> int:
        """Blocks of the decoder's last stage."""
        return self.blocks if self.finest is None else self.finest

    @property
    def has_skips(self) -> bool:
        return self.skips

    @property
    def predicts_residual(self) -> bool:
        return self.predicts == "difference"

    @property
    def has_batch_norm(self) -> bool:
        return self.norm == "batch"

    def depths(self, geometry: Geometry, size: tuple[int, int]) -> tuple[int, int]:
        """`(stem, halvings)`; vectors stop near an 8×8 grid, grids at their stride."""
        if geometry.stride is not None:
            stem = min(self.stem, geometry.stride)
            return stem, int(math.log2(geometry.stride // stem))
        if self.depth is not None:
            return self.stem, self.depth
        side = max(size) / self.stem
        return self.stem, max(1, math.ceil(math.log2(side / 8))) if side > 1 else 0

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:
        stem, halvings = self.depths(geometry, size)
        return stem * int(2**halvings)

    def receptive_radius(self, geometry: Geometry, size: tuple[int, int]) -> tuple[int, int]:
        stem, halvings = self.depths(geometry, size)
        sides = [stem * 2**i for i in range(halvings + 1)]  # pixels per position, stage by stage
        of_block = (2 if self.residual else 1) * self.repeats
        stages = of_block * self.blocks * sum(sides)
        finest = of_block * (self.finest_blocks - self.blocks) * sides[0]
        # 3×3 convolutions between stages: at the coarser resolution after pooling, at the finer after
        # repetition.
        pooled = sum(sides[1:]) if self.down == "pool" else 0
        repeated = sum(sides[:-1]) if self.up == "nearest" else 0
        beyond = sides[-1] // 2 if self.overlap else 0  # a piece, to each side
        analysis = max(beyond, 0 if self.encoder == "linear" else sides[0] + stages + pooled)
        if self.decoder == "shallow":
            corrected = (of_block * self.finest_blocks + 1) * sides[0]
            features = (of_block * self.blocks + 1) * sides[-1]
            synthesis = corrected + max(sides[0] + beyond, features)
        else:
            synthesis = sides[-1] + stages + finest + repeated + sides[0]
        return math.ceil(analysis / sides[-1]), math.ceil(synthesis / sides[-1])

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        stem = min(self.stem, geometry.stride or self.stem)
        return super().bytes_per_pixel(geometry, channels) + CONV_MAPS * 4 * self.width[0] / stem**2

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def refusal(self, geometry: Geometry) -> str | None:
        stride = geometry.stride
        if not self.width:
            return Message(
                "a conv backbone needs at least one width, for example backbone.width=48",
                id="combination.conv-width",
            )
        if self.stem & (self.stem - 1):
            return Message(
                "backbone.stem={stem} is not a power of two", id="combination.stem", stem=self.stem
            )
        if stride is not None and self.depth is not None and self.stem * 2**self.depth != stride:
            end = self.stem * 2**self.depth
            return Message(
                "stem {stem} and depth {depth} end at 1/{end}, not at the code's 1/{stride}",
                id="combination.depth",
                stem=self.stem,
                depth=self.depth,
                end=end,
                stride=stride,
            )
        return None


@dataclass(frozen=True, kw_only=True)
class Stacked(Backbone):
    kind: ClassVar[str] = "stacked"
    network = "isthmus.model.backbones.stacked:build"
    fine_code = "32@4"
    may_be_private = may_distribute = may_export = True
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
    output: Output = setting("sigmoid", OUTPUT_HELP)

    @property
    def may_transform(self) -> bool:
        return True

    @property
    def has_batch_norm(self) -> bool:
        return self.norm == "batch"

    def halvings(self, geometry: Geometry) -> int:
        """How often the encoder halves, and the decoder doubles."""
        return len(self.width) if geometry.stride is None else int(math.log2(geometry.stride))

    def widths(self, geometry: Geometry) -> tuple[Widths, Widths]:
        """Channels of the encoder's and the decoder's convolutions, without the code's and the image's own.

        In a vector code each of the encoder's convolutions halves, and the decoder's first width is that of
        the grid at the bottom. In a grid code the one that makes the code halves too; of `width` as many are
        taken as its stride needs, the last repeated.
        """
        if geometry.stride is None:
            encoder = self.width
            return encoder, encoder[::-1] if self.decoder is None else self.decoder
        hidden = max(0, int(math.log2(geometry.stride)) - 1)
        width = self.width or (geometry.channels,)
        encoder = tuple(width[min(i, len(width) - 1)] for i in range(hidden))
        return encoder, encoder[::-1] if self.decoder is None else self.decoder

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:  # noqa: ARG002
        return int(2 ** self.halvings(geometry))

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        first, last = self.width or (geometry.channels,), self.decoder or self.width or (0,)
        return super().bytes_per_pixel(geometry, channels) + CONV_MAPS * 4 * max(first[0], last[-1])

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def refusal(self, geometry: Geometry) -> str | None:
        stride = geometry.stride
        if stride is None and not self.width:
            return Message(
                "a stacked backbone needs a width per halving, for example backbone.width=32-64",
                id="combination.stacked-width",
            )
        if stride == 1:
            why = "a stacked backbone halves at least once: its grid codes begin at 1/2"
            return f"{why}, for example code 32@2"
        if self.padding == "reflect" and self.up == "transposed":
            return Message(
                "a strided transposed convolution has borders of zeros: reflect needs backbone.up=nearest",
                id="combination.reflect-transposed",
            )
        if self.decoder is not None:
            doublings = len(self.width) if stride is None else stride.bit_length() - 1
            least = doublings - (stride is not None)
            if len(self.decoder) not in (least, least + 1):
                return Message(
                    "backbone.decoder has {widths} widths: {doublings} doublings take {least}, or "
                    "{more} with a plain convolution at the end",
                    id="combination.decoder-widths",
                    widths=len(self.decoder),
                    doublings=doublings,
                    least=least,
                    more=least + 1,
                )
        return None


@dataclass(frozen=True, kw_only=True)
class Recurrent(Backbone):
    kind: ClassVar[str] = "recurrent"
    network = "isthmus.model.backbones.recurrent:build"
    may_be_private = may_distribute = may_export = True
    width: Widths = setting((256,), "size of the hidden state")
    depth: int = setting(1, "stacked GRU layers", low=1, high=8)
    output: Output = setting("sigmoid", OUTPUT_HELP)

    @property
    def may_transform(self) -> bool:
        return True

    def shrink_hint(self) -> str | None:
        return narrower(self.width)

    def refusal(self, geometry: Geometry) -> str | None:
        if not geometry.is_grid and len(self.width) != 1:
            return Message(
                "a recurrent backbone has one hidden size, for example backbone.width=256",
                id="combination.recurrent-width",
            )
        return vector_only(self, geometry)


@dataclass(frozen=True, kw_only=True)
class Attention(Backbone):
    kind: ClassVar[str] = "attention"
    network = "isthmus.model.backbones.attention:build"
    may_be_private = may_distribute = may_export = True
    width: Widths = setting((128,), "token width")
    depth: int = setting(3, "transformer blocks in the encoder and in the decoder", low=1, high=48)
    heads: int = setting(4, "attention heads; divides the width", low=1, high=64)
    patch: int | None = setting(
        None, "side of a patch; auto gives 7 to 8 patches a side, or the code's stride", low=1, high=64
    )
    output: Output = setting("sigmoid", OUTPUT_HELP)

    @property
    def may_transform(self) -> bool:
        return True

    def patch_side(self, geometry: Geometry, size: tuple[int, int]) -> int:
        """The code's stride, what was asked for, or 7 to 8 patches on the longer side."""
        if geometry.stride is not None:
            return geometry.stride
        return self.patch or max(1, math.ceil(max(size) / 8))

    def size_multiple(self, geometry: Geometry, size: tuple[int, int]) -> int:
        return self.patch_side(geometry, size)

    def bytes_per_pixel(self, geometry: Geometry, channels: int) -> float:
        # Of a vector code there are a few tokens, whatever the size.
        tokens = 0 if geometry.stride is None else TOKEN_MAPS * 4 * self.width[0] / geometry.stride**2
        return super().bytes_per_pixel(geometry, channels) + tokens

    def shrink_hint(self) -> str | None:
        return f"backbone.depth={max(1, self.depth // 2)}"

    def refusal(self, geometry: Geometry) -> str | None:
        if len(self.width) != 1:
            return Message(
                "attention has one token width, for example backbone.width=128",
                id="combination.attention-width",
            )
        if self.width[0] % self.heads:
            return Message(
                "backbone.heads={heads} does not divide the token width {width}",
                id="combination.heads",
                heads=self.heads,
                width=self.width[0],
            )
        if geometry.is_grid and self.patch not in (None, geometry.stride):
            return Message(
                "a grid code has one position per patch: backbone.patch must be {stride}",
                id="combination.patch",
                stride=geometry.stride,
            )
        return None
