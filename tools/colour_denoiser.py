"""A colour denoiser that begins as a trained gray one: for `isthmus train --from`.

    python tools/colour_denoiser.py photo-denoise-gray.safetensors -o colour-start.safetensors
    isthmus train photos-colour/train --recipe denoising --from colour-start.safetensors …

The new network sees the mean of the three channels as the gray one saw its image, and moves all channels
alike: it removes the noise of the luminance and leaves that of the colours, which it has to learn.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

import isthmus
from isthmus.model.autoencoder import Autoencoder, build

COLOURS = 3
SPREAD = 0.02  # of the random numbers that tell the three channels apart


@torch.no_grad()
def coloured(gray: Autoencoder) -> Autoencoder:
    """The same function on the mean of three channels, whose noise is weaker by √3."""
    new = build(gray.recipe, channels=COLOURS, size=gray.size)
    gray_state, state = gray.state_dict(), new.state_dict()
    for name, value in state.items():
        if name in gray_state and gray_state[name].shape == value.shape:
            value.copy_(gray_state[name])
    image, level = gray_state["encoder.first.weight"].chunk(
        2, dim=1
    )  # what is seen, and the map of its noise
    unlike = SPREAD * torch.randn(len(image), COLOURS * image.shape[1], *image.shape[2:])
    input_image = image.repeat(1, COLOURS, 1, 1) / COLOURS + unlike
    state["encoder.first.weight"].copy_(torch.cat([input_image, level / math.sqrt(COLOURS)], dim=1))
    for kind in ("weight", "bias"):
        value = gray_state[f"decoder.last.{kind}"]
        state[f"decoder.last.{kind}"].copy_(value.repeat(COLOURS, *[1] * (value.ndim - 1)))
    new.load_state_dict(state)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a gray model of the recipe denoising")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    new = coloured(isthmus.load(arguments.model))
    new.save(arguments.out)
    print(f"{arguments.out}: {sum(p.numel() for p in new.parameters()):,} numbers")


if __name__ == "__main__":
    main()
