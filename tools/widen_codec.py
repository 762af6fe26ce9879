"""Give a trained codec more code channels without losing what it knows: for `isthmus train --from`.

    python tools/widen_codec.py narrow.safetensors photos/train 192 -o wide.safetensors
    isthmus train photos/train --recipe codec --code 192@16 --from wide.safetensors …
    python tools/widen_codec.py m.safetensors photos/train 192 --low 0.0007 --high 0.06 -o n.safetensors

The new channels are the principal components of what the linear path leaves of the photographs' pieces; the
stages do not touch them at first, and they cost little while they are rounded to zero. An added block of the
decoder's finest stage begins as the identity. `--low` and `--high` stretch the range of λ that qualities 1 to
100 stand for: what was learned for a λ moves to the quality that has it now.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import isthmus
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.backbones.conv import ConvDecoder, ConvEncoder
from isthmus.model.bottlenecks.entropy import BEST, KNOTS, UNIT, EntropyBottleneck

PIECES = 300  # of each photograph


def pieces(photos: ImageSet, side: int) -> torch.Tensor:
    """`(n, channels·side²)` random pieces in [0, 1], in the order of `pixel_unshuffle`."""
    random = np.random.default_rng(0)
    patches = []
    for number in range(len(photos)):
        pixels = torch.from_numpy(np.array(photos.image(number))).permute(2, 0, 1).float() / 255
        for _ in range(PIECES):
            top, left = (int(random.integers(extent - side + 1)) for extent in pixels.shape[1:])
            patches.append(pixels[:, top : top + side, left : left + side])
    return F.pixel_unshuffle(torch.stack(patches), side)[..., 0, 0]


@torch.no_grad()
def widened(old: Autoencoder, photos: ImageSet, channels: int, finest: int) -> Autoencoder:
    """`old` with `channels` code channels and `finest` blocks in the decoder's last stage."""
    assert isinstance(old.encoder, ConvEncoder) and isinstance(old.decoder, ConvDecoder)
    assert isinstance(old.bottleneck, EntropyBottleneck) and old.encoder.straight is not None
    before, stride = old.recipe.geometry.channels, old.encoder.multiple
    recipe = replace(old.recipe, code=f"{channels}@{stride}").with_settings([f"backbone.finest={finest}"])
    new = build(recipe, channels=old.channels, size=old.size)
    assert isinstance(new.encoder, ConvEncoder) and isinstance(new.decoder, ConvDecoder)
    assert new.decoder.begins_at_code
    old_state = old.state_dict()
    state = new.state_dict()
    for name, value in state.items():
        if name in old_state and old_state[name].shape == value.shape:
            value.copy_(old_state[name])
        elif name not in old_state and name.startswith("decoder.stages.2.") and ".layers.3." in name:
            value.zero_()  # the last convolution of an added residual block

    analysis = old.encoder.straight.weight[..., 0, 0]
    inner, outer = old.decoder.entry.weight[..., 0, 0], old.decoder.straight.weight[..., 0, 0]
    painted, shift = outer, old.decoder.straight.bias
    entry, entry_bias = inner, old.decoder.entry.bias
    if not old.decoder.begins_at_code:  # its entry stood before the straight path, and was not scaled
        painted, shift = outer @ inner, shift + outer @ entry_bias
        by_spread = old_state["decoder.spread"].flatten()
        entry, entry_bias = inner * by_spread[None, :] / by_spread[:, None], entry_bias / by_spread
    x = pieces(photos, stride)
    constant = painted @ old.encoder.straight.bias + shift + old.offset.flatten().repeat_interleave(stride**2)
    left = x - x @ (painted @ analysis).t() - constant
    vectors = torch.linalg.eigh(left.t() @ left)[1].flip(1)[:, : channels - before]
    rest = torch.eye(len(vectors)) - painted @ analysis
    for name in ("weight", "bias"):
        state[f"encoder.last.{name}"].zero_()
        state[f"encoder.last.{name}"][:before] = old_state[f"encoder.last.{name}"]
    state["encoder.straight.weight"][..., 0, 0] = torch.cat([analysis, vectors.t() @ rest])
    # Rows of the rest are centred where the photographs are, so that most of their numbers round to zero.
    centre = left.mean(0) + constant
    state["encoder.straight.bias"][:] = torch.cat([old.encoder.straight.bias, -(vectors.t() @ centre)])
    state["decoder.straight.weight"][..., 0, 0] = torch.cat([painted, vectors], 1)
    state["decoder.straight.bias"][:] = shift + vectors @ (vectors.t() @ left.mean(0))
    numbers = left @ vectors
    spread = numbers.std(0)
    for side in ("encoder", "decoder"):
        state[f"{side}.spread"][:, 0, 0] = torch.cat([old_state[f"{side}.spread"].flatten(), spread])
    state["decoder.entry.weight"].zero_()
    state["decoder.entry.weight"][:, :before, 0, 0] = entry
    state["decoder.entry.bias"].copy_(entry_bias)

    prior = "bottleneck.context."
    for name in ("mean", "magnitude"):
        state[prior + name].zero_()
        state[prior + name][:before, :before] = old_state[prior + name]
        beside = state[f"{prior}{name}_beside"]
        beside[:before] = old_state[f"{prior}{name}_beside"]
    for name in ("bottleneck.scale", "bottleneck.gains.log_gain"):
        state[name][:, :before] = old_state[name]
    state["bottleneck.shrink"][:before] = old_state["bottleneck.shrink"]
    state["bottleneck.shrink"][before:] = old_state["bottleneck.shrink"][-16:].mean()
    gain = old_state["bottleneck.gains.log_gain"][:, -16:].mean(1, keepdim=True)
    state["bottleneck.gains.log_gain"][:, before:] = gain
    promised = ((UNIT * gain).exp() * spread * 0.5).clamp(0.05, 10)
    state["bottleneck.scale"][:, before:] = torch.expm1(promised).log() / UNIT
    assert state["bottleneck.scale"].shape[0] == KNOTS and BEST == 100
    new.load_state_dict(state)
    return new


@torch.no_grad()
def stretched(old: Autoencoder, low: float, high: float) -> Autoencoder:
    """`old` with λ from `low` to `high`; beyond what it knew, its tables go on as straight lines."""
    assert isinstance(old.bottleneck, EntropyBottleneck) and old.bottleneck.gains is not None
    gains = old.bottleneck.gains
    recipe = old.recipe.with_settings([f"bottleneck.low={low}", f"bottleneck.high={high}"])
    new = build(recipe, channels=old.channels, size=old.size)
    state = dict(old.state_dict())
    knots = torch.linspace(0, 1, KNOTS)
    log_lambdas = math.log(low) + knots * math.log(high / low)  # ln λ of each new knot
    place = (log_lambdas - math.log(gains.low)) / math.log(gains.high / gains.low) * (KNOTS - 1)
    below = place.floor().clamp(0, KNOTS - 2).long()
    share = (place - below)[:, None]
    for name in ("bottleneck.scale", "bottleneck.gains.log_gain"):
        table = state[name]
        state[name] = table[below] * (1 - share) + table[below + 1] * share
    new.load_state_dict(state)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path, help="the photographs it was trained on")
    parser.add_argument("channels", type=int)
    parser.add_argument("--finest", type=int, default=2)
    parser.add_argument("--low", type=float, help="λ at quality 1; as it is")
    parser.add_argument("--high", type=float, help="λ at quality 100; as it is")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    new = isthmus.load(args.model)
    if new.recipe.geometry.channels != args.channels:
        new = widened(new, isthmus.read(args.photos), args.channels, args.finest)
    if args.low or args.high:
        settings = new.recipe.bottleneck
        assert isinstance(settings, axes.Entropy)
        new = stretched(new, args.low or settings.low, args.high or settings.high)
    new.save(args.out)
    print(f"{args.out}: {sum(p.numel() for p in new.parameters()):,} numbers")


if __name__ == "__main__":
    main()
